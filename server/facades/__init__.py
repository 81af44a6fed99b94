"""The vendors' wire protocols. A façade says what their bytes look like, which domain value that is, which use-case
is called. None of them knows another, the store or an engine."""
