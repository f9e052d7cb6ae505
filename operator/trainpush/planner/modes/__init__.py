"""How nodes come to other modes: for whose sake, which of them, and how far each one goes in this cycle."""
