// The queue's states: this page is the specification, written before the code. lib/queue keeps it,
// t/unit/queue walks each row, t/torture pulls the plug at each arrow.
//
// A queue file ("slot") is mail/XX/NUMBER, XX = two hex digits of NUMBER mod 256. It is created once and
// used for many messages, one after the other. A message's id ends in its slot's number and begins with
// a time later than that of any earlier message of the slot, so an id names one message for ever.
//
//   state       header magic   lock   who may write      who knows
//   Free        free / zeros   no     qmgr               free list of qmgr
//   Leased      free / zeros   yes    lease holder       qmgr's lease table; the lock itself
//   Writing     free / zeros   yes    lease holder       lease holder (content goes behind the header)
//   Complete    live           no     qmgr (states)      qmgr's schedule; the file
//   Held        live, 'H'      no     qmgr (states)      the same; not scheduled
//   Retired     free           no     nobody             qmgr, until the journal is on disk
//   Corrupt     any            no     a person           file is corrupt/ID, with a line in the log
//
// Transitions. "Durable by" names the call after which a power cut cannot undo it; a kill of a process
// undoes nothing that a system call has done.
//
//   from      to        by            durable by                     a crash before that leaves
//   (none)    Free      qmgr          fsync(directory)               no file, or one without a header: Free
//   Free      Leased    qmgr, when    never; it is the flock on the  Free: the lock dies with its holder
//                       nobody else   descriptor that was passed
//                       has it open
//   Leased    Writing   holder        never                          Free with strange bytes in it: Free
//   Writing   Complete  holder        fdatasync after one pwritev    any mix of old and new sectors: Free,
//                                     of header..states; then close  because header, envelope and content
//                                     (lock falls), then the notice  are each under a checksum; states do
//                                     to qmgr, then the 250          not count before the first mark
//   Writing   Free      holder        never: header was never live   Free
//   Leased,   Free or   qmgr, when    -                              the same examination at the next start
//   Writing   Complete  the holder's
//                       connection
//                       ended
//   Writing   Corrupt   qmgr, told    rename, fsync(directory)       found again at the next start: either
//                       by holder                                    Free or a Complete message that was
//                       after a sync                                 answered 451 (a duplicate, no loss)
//                       failed
//   Complete  Held      qmgr          the file's sync, soon after    not held
//   Complete  Complete  qmgr marks    journal (within 50 ms), later  the recipient is tried again
//             (one      a recipient   the file itself (checkpoint)   (a duplicate, no loss)
//             mark
//             more)
//   Complete  Retired   qmgr, after   journal                        Complete: tried again (duplicates)
//                       the last mark
//   Retired   Free      qmgr          the journal already is, and    -
//                                     the header says so
//   Free      (none)    qmgr, when    never                          Free
//                       not needed
//                       for a while
//   Complete  Corrupt   qmgr          rename, fsync(directory)       found again
//
// Nobody else has it open: an agent may still read the message that was there (it lost its connection and has not
// noticed yet), a holder may have kept a descriptor after its commit. The next message must meet neither, so Free to
// Leased takes, besides the lock, a moment's write lease of the kernel (F_SETLEASE), which is only granted to the
// one who alone has the file open. What is still open is tried again a second later, and others are leased meanwhile.
//
// Whose word counts. A descriptor is the whole privilege of a holder. What it says of a slot that this qmgr leased to it
// on this connection is believed as far as it is plausible. What it says of a slot that it had before (from a
// qmgr that died, on a connection that broke) is a hint to look into the file, no more: nobody can tell whose the
// lock is. A holder that speaks of any other slot is cut off.
//
// What cannot be read or written now (no descriptors, EIO, EACCES) stays what it was, and is tried again: a change that
// is not in the file yet is in memory, where every reader of the message gets it, and its fact is in the journal, or in
// journal.kept when the journal is written over. A slot is never Free because it could not be read.
//
// The start. Slots with numbers above all that exist are made and leased at once; the others are examined in
// pieces meanwhile. Until that has ended the journal is only read: marks and ends of messages wait in memory for their
// sync, and what is Retired is not used again. A power cut in that time costs duplicates, no message.
//
// Why the journal. A slot is written over by its next message, so "that message is done" must be on disk
// before the slot is leased again: else a power cut could leave the old header, still live, above pages
// of the new message, and nobody could tell it from a damaged message. One small file takes the fact
// "ID is done" of many messages with one sync (mark_journal.h), every 50 ms at most, sooner when
// slots run short. So: a live header whose content is damaged is a damaged message or an interrupted
// commit, never a message that was delivered.
//
// Interrupted commit or damage? Both give a header that is right and content that is not. qmgr adopts
// each message that it hears of (the journal says so, from the first mark on also the header: byte
// `progress`). Adopted and damaged: Corrupt, a person is told. Not adopted and damaged: the commit never
// ended, no 250 was given: Free. Only damage to the header sector itself, which no interrupted write can
// cause (a sector is written whole or not at all), is Corrupt always.
//
// One qmgr at a time: it holds the lock on mail/lock. Two would each lease the slots in which the other has
// messages; the second, started while an orphaned first still ends, waits.
//
// The order of a commit, seen from outside: content, header durable -> lock released -> notice -> 250.
// qmgr that hears the notice owns a free slot file with a message in it; qmgr that dies before finds an
// unlocked, live file at its start. A holder that is still alive then keeps its locks: the slot is looked
// at again later. Nothing here needs an operator, a lock file, or a time-out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::queue {

enum class SlotState : uint8_t { Free, Leased, Writing, Complete, Held, Retired, Corrupt };

// What becomes of one recipient; one byte in the file, overwritten in place. Values two bits apart or
// more from one another, so that no single flipped bit makes another valid state.
enum class RecipientState : uint8_t {
    Pending = 0x50,   // 'P': to be tried (again)
    Delivered = 0x44, // 'D'
    Bounced = 0x42,   // 'B': failed for good; the sender has been told, or must not be
    Failed = 0x5f,    // '_': failed for good; the sender is still to be told
    Deleted = 0x78,   // 'x': by the operator
    Duplicate = 0x3d, // '=': another recipient of the message is the same mailbox
    // Done, as the name says, but the sender, who asked for it, is still to be told:
    DeliveredUntold = 0x2b, // '+'
    RelayedUntold = 0x3e,   // '>'
    ExpandedUntold = 0x65,  // 'e'
};
bool is_valid(RecipientState state);
bool is_settled(RecipientState state); // nothing left to do: not Pending, not Failed, nobody to be told
bool is_untold(RecipientState state);  // not to be tried again, only to be told
std::string_view to_text(RecipientState state);

// Directories below queue_directory.
inline constexpr const char* mail_directory = "mail";
inline constexpr const char* corrupt_directory = "corrupt";

// "mail/2a/298"
std::string slot_path(uint64_t number);

} // namespace posthouse::queue
