-- What cannot be served this moment waits here instead of failing: a model server that restarts, a version on its way.

local longest_seconds = tonumber(os.getenv("STATEHOUSE_REQUEST_SECONDS"))
local LOADING, DOWN = "loading", "down"

local function map(name)
    return Map.new(os.getenv("STATEHOUSE_MAPS") .. "/" .. name .. ".map", Map._str)
end

local lanes, defaults = map("lanes"), map("defaults")

local function now()
    local time = core.now()
    return time.sec + time.usec / 1e6
end

-- Waits until the request's version has lanes and the server is there; says then which version and lanes those are.
core.register_action("settle", { "http-req" }, function(txn)
    local name, version = txn:get_var("txn.name"), txn:get_var("txn.version")
    local by_default = txn:get_var("txn.how") == "default"
    local route
    local function cannot_be_served()
        if by_default then version = defaults:lookup(name) or "" end
        route = lanes:lookup(name .. "/" .. version)
        return route == LOADING or (route and route ~= DOWN and txn.f:nbsrv("model_server") < 1)
    end
    local deadline = now() + longest_seconds
    while cannot_be_served() and now() < deadline do
        core.msleep(20)
    end
    txn:set_var("txn.version", version)
    txn:set_var("txn.key", name .. "/" .. version)
    if route then txn:set_var("txn.lanes", route) else txn:unset_var("txn.lanes") end
end, 0)
