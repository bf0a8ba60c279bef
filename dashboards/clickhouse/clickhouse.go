// Package clickhouse has the user that dashboards and analysts read with: one text for the
// embedded engine and for a server.
package clickhouse

import _ "embed"

// Analyst is a file for users.d/. It takes the password from AnalystPasswordEnv.
//
//go:embed analyst.xml
var Analyst string

// AnalystUser is the name of the user in it.
const AnalystUser = "analyst"

// AnalystPasswordEnv names the environment variable that a server, or the engine, takes the
// user's password from.
const AnalystPasswordEnv = "TIEBACK_ANALYST_PASSWORD"
