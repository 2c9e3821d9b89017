"""The servers that are compared, each written as its own documentation recommends for throughput."""
