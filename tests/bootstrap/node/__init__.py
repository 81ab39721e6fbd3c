"""Tests of the Node.js bootstrap. A package, so that its `conftest` is not taken for that of the others."""
