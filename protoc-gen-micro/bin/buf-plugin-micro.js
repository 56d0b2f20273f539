#!/usr/bin/env node
import "../dist/buf-plugin.js";
