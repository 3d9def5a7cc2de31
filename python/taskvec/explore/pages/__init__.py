"""The pages: each is a function from a view and an address to a document; its arrays go beside it."""
