"""Processes that end well: signals noted, children that end with their parent, a cluster; bars and shards."""
