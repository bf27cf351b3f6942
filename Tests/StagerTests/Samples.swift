// The stager's tests.
