"""What is told to people from the ledger: how complete a day is, and which holes there are. Nothing is judged here."""
