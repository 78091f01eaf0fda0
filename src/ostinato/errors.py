"""What a caller may catch. Every error of the library is an `OstinatoError`."""


class OstinatoError(Exception):
    """Base of every error that Ostinato raises on purpose."""


class DefinitionError(OstinatoError, ValueError):
    """A cell definition is malformed; the message names the cell, the argument and the line."""


class ShapeError(OstinatoError, ValueError):
    """Tensors whose shapes, dtypes or devices do not fit together; the message quotes them."""


class BackendError(OstinatoError, RuntimeError):
    """A backend named by the caller cannot run this scan; the message says why."""


class DataError(OstinatoError, ValueError):
    """A file or a value that is not what its format promises; the message says where."""
