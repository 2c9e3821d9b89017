"""What an endpoint does with its module: the tasks and their configs."""
