"""The page that a provider keeps open beside the call: static files, and how they are served (`serving`)."""
