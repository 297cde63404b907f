"""What a client sends, checked: the same rules and texts as in examples/hbnb/api_json.cpp."""
import math

from werkzeug.exceptions import BadRequest
from werkzeug.security import generate_password_hash

INTEGER_MAX = 2**31 - 1


def json_object(request):
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # thousands of brackets
        body = None
    if not isinstance(body, dict):
        raise BadRequest("Not a JSON")
    return body


def is_text(value):
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair: "\ud800"
        return False
    return True


def text(field, value):
    if not isinstance(value, str):
        raise BadRequest(f"{field.name} must be a string")
    if not is_text(value):
        raise BadRequest(f"{field.name} must be a string without NUL")
    if len(value) > field.most:
        raise BadRequest(f"{field.name} must be a string of at most {field.most} characters")
    if field.required and not value:
        raise BadRequest(f"Missing {field.name}")
    return value


def is_finite(value):
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def number(field, value):
    kind = (int, float) if field.kind == "real" else int
    right = isinstance(value, kind) and not isinstance(value, bool)
    if field.kind == "real":
        if value is None:
            return None
        if not right or not is_finite(value):
            raise BadRequest(f"{field.name} must be a number or null")
        return float(value)
    if not right or not 0 <= value <= INTEGER_MAX:
        raise BadRequest(f"{field.name} must be an integer from 0 to {INTEGER_MAX}")
    return value


def value_of(field, value):
    if field.kind in ("integer", "real"):
        return number(field, value)
    if value is None and not field.required:
        return None
    return text(field, value)


def reference(field, body):
    if field.name not in body:
        raise BadRequest(f"Missing {field.name}")
    return text(field, body[field.name])


def checked(table, body, making):
    """The members of `body` that are fields of the table, by name."""
    values = {}
    for field in table.fields:
        if field.fixed and not making:
            continue
        if field.name in body:
            values[field.name] = value_of(field, body[field.name])
        elif field.required and making:
            raise BadRequest(f"Missing {field.name}")
    # Last, because it is work: nobody shall have it done for a request that is refused.
    for field in table.fields:
        if field.kind == "secret" and field.name in values:
            values[field.name] = generate_password_hash(values[field.name], "pbkdf2:sha256:600000")
    return values


def search(body):
    return {name: ids(name, body.get(name)) for name in ("states", "cities", "amenities")}


def ids(name, value):
    if value is not None and not (isinstance(value, list) and all(map(is_text, value))):
        raise BadRequest(f"{name} must be a list of ids")
    return sorted(set(value or []))
