// Package chdb hosts ClickHouse as a library (libchdb) in a child process: the embedded engine. It
// is the same program as a server, with ClickHouse's own HTTP interface on a port of this machine,
// its own users, grants, quotas and limits.
//
// Why a child process: a crash of the engine must not take the ingest service along, and the
// commands beside a service share it.
//
// Who starts it: whoever needs it. A [Client] asks for a lease on a socket in the data folder; when
// nobody answers there it starts `tieback engine`, which takes engine.lock, and tries again. A
// lease is an HTTP request that stays open. The kernel closes it when its holder dies, however it
// dies. The engine ends when the last lease is gone, so none is left behind.
//
// Where it answers: engine.json in the data folder has the address, the user and the password, for
// the folder's owner only. Whoever connects looks whether it is a process of that owner that
// answers (peer.go).
//
// Its users (config.go): `tieback` may do everything. `analyst` reads what is published: the same
// file says so for a server (dashboards/clickhouse). [Client.Analysts] lets others in as that user.
// `default`, as whom the library runs the statement that keeps it going, can't have a password: it
// may do nothing, and its quota is used up before anybody knows where the engine is.
//
// What an engine must not do is read files for those who ask: the library takes itself for a tool
// on somebody's desk, so the function file() needs no grant. It does need a working folder, and the
// engine's is removed as it starts.
package chdb
