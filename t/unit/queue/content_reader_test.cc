// Content on its way out is compared with what intake has seen.
#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/base/file.h"
#include "lib/queue/content_reader.h"
#include "t/support/catch.h"

#include <sys/mman.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::queue;

namespace {

struct ContentFile {
    explicit ContentFile(const std::string& content) : fd(::memfd_create("content", MFD_CLOEXEC))
    {
        info.offset = 128;
        info.size = content.size();
        info.crc32c = crc32c(content);
        (void)pwrite_all(fd.get(), content, info.offset);
    }
    // All pieces put together, or the error's text.
    std::string read(size_t piece) const
    {
        ContentReader reader(fd.get(), info);
        std::string buffer(piece, '\0');
        std::string all;
        while (!reader.at_end()) {
            const auto got = reader.next(buffer.data(), buffer.size());
            if (!got)
                return cat(all.size(), " bytes, then ", got.error().text());
            all.append(*got);
        }
        return all;
    }
    UniqueFd fd;
    ContentInfo info;
};

} // namespace

TEST_CASE("content is read in pieces of any size, an empty one too")
{
    const std::string content = "Subject: x\r\n\r\nhello\r\n";
    for (const size_t piece : {size_t(1), size_t(7), content.size(), size_t(65536)})
        CHECK(ContentFile(content).read(piece) == content);
    CHECK(ContentFile("").read(10).empty());
}

TEST_CASE("the last piece of content that was damaged on the disk is not handed out")
{
    const std::string content(1000, 'x');
    for (const uint64_t at : {128u, 600u, 1127u}) {
        const ContentFile file(content);
        REQUIRE(pwrite_all(file.fd.get(), "?", at));
        CHECK(file.read(300) == "900 bytes, then damaged queue file: the content does not agree with its checksum");
    }
    const ContentFile cut(content);
    REQUIRE(::ftruncate(cut.fd.get(), 1100) == 0);
    CHECK(cut.read(300) == "900 bytes, then damaged queue file: it ends within the content");
}
