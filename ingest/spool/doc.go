// Package spool keeps accepted records on disk until they are in ClickHouse.
//
// Records are appended to segment files, NNNNNNNNNNNNNNNN.seg. Those that arrive
// together are written as one frame and made durable by one fsync (group commit);
// Append returns after it. A frame is the unit of commit: it counts whole or not at
// all, and a tail that a crash tore is read up to the last whole frame.
//
//	frame   = magic u32, length of the payload u32, CRC-32C of the payload u32, payload
//	payload = for each record its length as uvarint, then its bytes
//
// A segment that follows many small frames is made ahead, full of zeros, since an
// fsync costs less where a file does not grow. Zeros up to the end of a segment are no
// damage: the frames ended before.
//
// One reader follows from the cursor on. Begin makes the bounds of a batch durable
// before it is sent, so that it comes again as it was after a crash. Commit makes the
// cursor durable first and deletes the segments behind it after, so a crash between
// the two repeats nothing and loses nothing. A frame that cannot be read is put aside
// in quarantine/ and the next good one is searched for.
package spool
