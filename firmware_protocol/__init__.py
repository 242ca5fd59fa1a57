"""The contract with the board: one spec, the codec generated from it, sans-IO sessions.

Knows nothing of the rest of the project. `messages` and `layouts` are generated from `spec.toml`
(`python -m firmware_protocol generate`); `framing` finds frames in bytes; `host_session` and
`board_session` are the two ends of a session, taking bytes and giving bytes; `explain` says in
words what a byte of a frame means.
"""
