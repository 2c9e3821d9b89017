"""The console in the browser: its page, the JSON that it reads, the API described. Nothing here changes anything."""
