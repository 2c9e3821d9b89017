"""The console in the browser: its page, and the JSON that it reads. Nothing here changes anything."""
