// Package chdb hosts the ClickHouse engine as a library (libchdb) in a child
// process and speaks ClickHouse's HTTP interface on a Unix socket in the data
// folder, so that clickhouse-go, golang-migrate and curl use it as they use a
// server.
//
// Why a child process: the library takes over the process's signal handlers (a
// Go nil dereference would then end the process without a trace), and a crash of
// the engine must not take the ingest service along.
//
// Who starts it: whoever needs it. A [Client] connects to the socket; when nobody
// answers there it starts `tieback engine`, which takes engine.lock, and tries
// again. Each Client holds a lease, an HTTP request that stays open. The kernel
// closes it when its holder dies, however it dies. The engine ends when the last
// lease is gone, so none is left behind.
//
// What others may read: the engine has no users, so [Client.ReadOnly] serves a path
// of the socket where a guard looks at each statement before the engine sees it, and
// the session is readonly=1.
package chdb
