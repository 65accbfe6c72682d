"""The page of `facesearch web`, private to this machine, and the JSON interface that it and other programs use. Every
route parses, calls one use-case of the gallery and shows the result."""
