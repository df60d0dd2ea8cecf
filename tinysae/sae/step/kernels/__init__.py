"""The inner loops of the sparse training step, compiled by numba.

All of them work on *pairs*: the (feature, token, value) where an activation is not
zero, kept feature by feature as in a CSC matrix. The pairs of row (feature) j are
`first[j]:first[j + 1]` in `token` (int32, ascending) and `value` (float32).

Every function releases the GIL, allocates next to nothing, and gives the same bits
whatever thread runs it: the order of each sum depends on the shapes alone. The first
call of each compiles it, and the result is cached on disk where that is possible.
"""
