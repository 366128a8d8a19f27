"""The commands, one module each. `reconciler.cli` names them and imports only the one that is called."""
