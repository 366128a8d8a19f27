"""Where notices go. The folder is the registry: `kind: slack` is `reconciler.notifiers.slack`.

A notifier's module has `Options`, a pydantic model of its settings, and `build(name, options)`.
"""
