"""What schemathesis checks of GraphQL: a refusal has a code and is no fault of ours.

Its own check takes every error without data for a fault of the server.
"""

import schemathesis


@schemathesis.check
def no_fault(ctx, response, case):
    assert response.status_code < 500, f"HTTP {response.status_code}"
    for error in response.json().get("errors") or []:
        code = error.get("extensions", {}).get("code")
        assert code, f"an error without a code: {error}"
        assert code != "INTERNAL", f"a fault: {error}"
