"""The stack on one machine: what `catalyst up`, the demo and the tests start."""
