"""Loaded by schemathesis: how to send bodies that are neither JSON nor forms."""

import schemathesis

schemathesis.serializer.alias(["application/sdp", "application/trickle-ice-sdpfrag"], "text/plain")
