#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs one test script in a fresh folder that is removed afterwards.
set -u
work=$(mktemp -d) && cd "$work" || exit 1
trap 'rm -rf "$work"' EXIT
bash "$1"
