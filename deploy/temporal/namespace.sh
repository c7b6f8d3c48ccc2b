#!/bin/sh
# Makes the namespace. Search attributes are registered by `powernode migrate`, also on other clusters. Safe to repeat.
set -eu

if ! temporal operator namespace describe --namespace "$NAMESPACE" >/dev/null 2>&1; then
  temporal operator namespace create --namespace "$NAMESPACE" --retention "$RETENTION"
fi
