"""What a result is made of on disk: arrays in checksummed chunks, a ledger of those that are whole, and a lease."""
