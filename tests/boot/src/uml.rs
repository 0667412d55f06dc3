//! A guest under user-mode-linux whose root is the tree of the host.
