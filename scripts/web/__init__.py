"""The console in the browser: its page, the JSON that it reads, and the API's description. Nothing here changes anything."""
