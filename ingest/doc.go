// Package ingest is the HTTP edge: backends post conversions, browsers report what
// they see.
//
// What a 200 (a 204 of /collect) promises: the event is on the disk of this machine,
// fsynced, in the spool; it will reach ClickHouse, whatever dies in between; and it
// will count once.
//
//	request ─► checks ─► spool.Append ─► 200
//	                      (fsync)
//	                         │
//	                      Writer ─► batch insert ─► cursor moves, segment is deleted
//
// Each event gets its ingest_id as it is accepted. The Writer may insert a batch
// twice, when it dies between the insert and the move of the cursor; the rows then
// bear the same ingest_id and count once (R5).
//
// Strings that Fiber hands out are views into a buffer that the next request
// overwrites. They are copied where they are kept: decoding a body copies, and so
// does appending to the spool.
package ingest
