"""Where observations come from. One module is one kind; the folder is the registry."""
