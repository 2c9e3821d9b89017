-- What cannot be served this moment waits here instead of failing: a version on its way, a worker that restarts.

local longest_seconds = tonumber(os.getenv("STATEHOUSE_QUEUE_MS")) / 1000
local LOADING = "loading"
local AGAIN = "again"

local function map(name)
    return Map.new(os.getenv("STATEHOUSE_MAPS") .. "/" .. name .. ".map", Map._str)
end

local routes, defaults = map("routes"), map("defaults")

local function now()
    local time = core.now()
    return time.sec + time.usec / 1e6
end

-- Waits until the request has waited for as long as it may, since it came; elsewhere too.
local function wait_while(txn, what)
    local deadline = math.min(now(), txn.f:req_hdr("x-statehouse-arrival") / 1e6) + longest_seconds
    while what() and now() < deadline do
        core.msleep(20)
    end
end

-- Waits until the request's version has a slot; says then which version and slot those are.
core.register_action("settle", { "http-req" }, function(txn)
    local name, version = txn:get_var("txn.name"), txn:get_var("txn.version")
    local by_default = txn:get_var("txn.how") == "default"
    local route
    wait_while(txn, function()
        if by_default then version = defaults:lookup(name) or "" end
        route = routes:lookup(name .. "/" .. version)
        return route == LOADING
    end)
    txn:set_var("txn.version", version)
    txn:set_var("txn.key", name .. "/" .. version)
    if route then txn:set_var("txn.route", route) else txn:unset_var("txn.route") end
end, 0)

local function has_worker(slot)
    for name, server in pairs(core.backends[slot].servers) do
        if name ~= AGAIN and not server:is_draining() and server:get_stats().status:sub(1, 2) == "UP" then
            return true
        end
    end
    return false
end

-- Waits until the slot that has sent the request here has a worker to send it to.
core.register_action("wait_for_worker", { "http-req" }, function(txn)
    local slot = txn.f:req_hdr("host")
    wait_while(txn, function() return not has_worker(slot) end)
    txn:set_var("txn.has_worker", has_worker(slot))
end, 0)

-- Takes the server out that has just lost a request: its worker has ended, and what waits would be sent after it before a
-- connection to it fails. If it has not, the next check finds that.
core.register_fetches("lost_with", function(txn)
    local backend, server = txn.f:be_name(), txn.f:srv_name()
    local found = server and core.backends[backend].servers[server]
    if found and server ~= AGAIN then found:check_force_down() end
    return server or ""
end)
