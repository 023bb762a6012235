// The format of queue files: what is written is read again, and nothing else is ever believed.
#include "lib/queue/queue_file.h"

#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "lib/queue/disk.h"
#include "t/support/catch.h"
#include "t/support/temp_queue.h"

#include <fcntl.h>

using namespace posthouse;
using namespace posthouse::queue;
using namespace posthouse::test;

namespace {

constexpr uint64_t number = 298;
constexpr int64_t id_us = 1763780000123456;

class QueueFile {
public:
    explicit QueueFile(const std::string& name) : path(name)
    {
        fd = UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
    }
    std::string path;
    UniqueFd fd;

    void commit(const std::string& content, mail::Envelope envelope)
    {
        envelope.id = make_id(id_us, number);
        envelope.arrival_us = id_us;
        const auto image = make_commit_image(number, id_us, envelope, info_of(content));
        REQUIRE(write_commit(Disk::system(), fd.get(), image, content, header_size));
    }
    Examination examine(Depth depth = Depth::WithContent, uint64_t as = number)
    {
        auto result = examine_file(fd.get(), as, depth);
        REQUIRE(result);
        return *std::move(result);
    }
    std::string bytes() { return *read_file(path, 1 << 24); }
    void replace(const std::string& all)
    {
        REQUIRE(::ftruncate(fd.get(), 0) == 0);
        REQUIRE(pwrite_all(fd.get(), all, 0));
    }
};

} // namespace

TEST_CASE("A committed message is read again as it was written")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/298");
    mail::Envelope envelope = sample_envelope(3);
    envelope.hold = true;
    const std::string content = sample_content(5000);
    file.commit(content, envelope);

    const Examination examination = file.examine();
    REQUIRE(examination.verdict == Verdict::Complete);
    const StoredMessage& message = examination.message;
    CHECK(message.id() == make_id(id_us, number));
    CHECK(message.envelope.recipients == envelope.recipients);
    CHECK(message.envelope.sender == envelope.sender);
    CHECK(message.content.size == content.size());
    CHECK(message.states == std::vector<RecipientState>(3, RecipientState::Pending));
    CHECK(message.held);
    CHECK_FALSE(message.known);
    std::string stored(content.size(), '\0');
    REQUIRE(pread_full(file.fd.get(), stored.data(), stored.size(), message.content.offset));
    CHECK(stored == content);
}

TEST_CASE("Empty content and content with NUL and any byte are kept")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/298");
    std::string content;
    SECTION("empty") {}
    SECTION("every byte")
    {
        for (int i = 0; i < 1024; ++i)
            content.push_back(static_cast<char>(i));
    }
    file.commit(content, sample_envelope());
    CHECK(file.examine().verdict == Verdict::Complete);
}

TEST_CASE("A new file, a file of zeros and a retired file are free")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/298");
    CHECK(file.examine().verdict == Verdict::Free);
    file.replace(std::string(65536, '\0'));
    CHECK(file.examine().verdict == Verdict::Free);
    file.commit(sample_content(100), sample_envelope());
    REQUIRE(write_free(Disk::system(), file.fd.get()));
    const Examination examination = file.examine();
    CHECK(examination.verdict == Verdict::Free);
    CHECK(examination.last_us == id_us); // the next id of this slot has to be later
}

TEST_CASE("Marks and flags are found again")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/298");
    file.commit(sample_content(100), sample_envelope(3));
    const uint64_t states = file.examine().message.states_offset;
    Disk& disk = Disk::system();
    REQUIRE(write_known(disk, file.fd.get()));
    REQUIRE(write_state(disk, file.fd.get(), states, 1, RecipientState::Delivered));
    REQUIRE(write_state(disk, file.fd.get(), states, 2, RecipientState::Failed));
    REQUIRE(write_hold(disk, file.fd.get(), true));
    REQUIRE(write_expire(disk, file.fd.get(), Expire::AndRelease));
    REQUIRE(write_warned(disk, file.fd.get()));
    const StoredMessage message = file.examine().message;
    CHECK(message.states == std::vector<RecipientState>{RecipientState::Pending, RecipientState::Delivered,
                                                       RecipientState::Failed});
    CHECK(message.known);
    CHECK(message.held);
    CHECK(message.warned);
    CHECK(message.expire == Expire::AndRelease);
}

TEST_CASE("A file under another number is damaged")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/299");
    file.commit(sample_content(100), sample_envelope());
    CHECK(file.examine(Depth::WithContent, 299).verdict == Verdict::Damaged);
}

TEST_CASE("Any flipped bit of a known message is found, or changes nothing")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/298");
    file.commit(sample_content(300), sample_envelope(2));
    REQUIRE(write_known(Disk::system(), file.fd.get()));
    const std::string whole = file.bytes();
    const Examination good = file.examine();
    REQUIRE(good.verdict == Verdict::Complete);
    size_t found = 0;
    size_t harmless = 0;
    for (size_t at = 0; at < whole.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            const char flipped = static_cast<char>(whole[at] ^ (1 << bit));
            REQUIRE(pwrite_all(file.fd.get(), std::string_view(&flipped, 1), at));
            const Examination examination = file.examine();
            if (examination.verdict == Verdict::Complete) {
                ++harmless;
                REQUIRE(at >= 132); // the reserve of the header
                REQUIRE(at < header_size);
                REQUIRE(examination.message.envelope == good.message.envelope);
                REQUIRE(examination.message.states == good.message.states);
            } else {
                // 'k' -> 'N' is more than one bit, so "interrupted commit" is no answer here.
                REQUIRE(examination.verdict == Verdict::Damaged);
                ++found;
            }
        }
        REQUIRE(pwrite_all(file.fd.get(), std::string_view(&whole[at], 1), at));
    }
    CHECK(harmless == (header_size - 132) * 8);
    CHECK(found > 300 * 8);
}

TEST_CASE("A known message that is cut off anywhere is damaged, a new one is an interrupted commit")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/298");
    file.commit(sample_content(300), sample_envelope(2));
    const bool known = GENERATE(false, true);
    if (known)
        REQUIRE(write_known(Disk::system(), file.fd.get()));
    const std::string whole = file.bytes();
    for (size_t length = 0; length < whole.size(); ++length) {
        file.replace(whole.substr(0, length));
        const Verdict verdict = file.examine().verdict;
        if (length == 0)
            CHECK(verdict == Verdict::Free);
        else if (length < header_size || known)
            CHECK(verdict == Verdict::Damaged);
        else
            CHECK(verdict == Verdict::Incomplete);
    }
    file.replace(whole + "junk behind the end");
    CHECK(file.examine().verdict == Verdict::Complete);
}

TEST_CASE("Damaged content of a known message is found when it is looked at")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/298");
    file.commit(sample_content(300), sample_envelope());
    REQUIRE(pwrite_all(file.fd.get(), "?", header_size + 100));
    CHECK(file.examine(Depth::AsNeeded).verdict == Verdict::Incomplete);
    CHECK(file.examine(Depth::WithoutContent).verdict == Verdict::Complete);
    REQUIRE(write_known(Disk::system(), file.fd.get()));
    CHECK(file.examine(Depth::AsNeeded).verdict == Verdict::Complete);
    CHECK(file.examine(Depth::WithContent).verdict == Verdict::Damaged);
}

TEST_CASE("States that belong to an earlier message do not make a recipient of a new one done")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/298");
    file.commit(sample_content(300), sample_envelope(2));
    const uint64_t states = file.examine().message.states_offset;
    REQUIRE(write_state(Disk::system(), file.fd.get(), states, 0, RecipientState::Delivered));
    const Examination examination = file.examine();
    CHECK(examination.verdict == Verdict::Complete);
    CHECK(examination.stale_states);
    CHECK(examination.message.states == std::vector<RecipientState>(2, RecipientState::Pending));
}

TEST_CASE("The id that takes a message's place is read again; half of it, or an earlier message's, is none")
{
    const TempDirectory directory;
    QueueFile file(directory.path() + "/298");
    file.commit(sample_content(300), sample_envelope(2));
    CHECK(file.examine().message.successor.empty());
    const std::string successor = make_id(id_us + 7, number + 256);
    REQUIRE(write_successor(Disk::system(), file.fd.get(), successor));
    const Examination examination = file.examine();
    REQUIRE(examination.verdict == Verdict::Complete);
    CHECK(examination.message.successor == successor);
    CHECK(examination.message.states == std::vector<RecipientState>(2, RecipientState::Pending));

    REQUIRE(pwrite_all(file.fd.get(), "?", 140));
    CHECK(file.examine().message.successor.empty());
    CHECK(file.examine().verdict == Verdict::Complete);

    REQUIRE(write_successor(Disk::system(), file.fd.get(), successor));
    file.commit(sample_content(300), sample_envelope(2));
    CHECK(file.examine().message.successor.empty());
}

TEST_CASE("No valid state is one flipped bit away from another")
{
    for (int value = 0; value < 256; ++value) {
        if (!is_valid(static_cast<RecipientState>(value)))
            continue;
        for (int bit = 0; bit < 8; ++bit)
            CHECK_FALSE(is_valid(static_cast<RecipientState>(value ^ (1 << bit))));
    }
}
