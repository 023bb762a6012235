// A drop file as any local user may write it: whole or cut into pieces, it reads the same, and nothing
// that is not complete passes.
#include "lib/queue/drop_file.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

using posthouse::queue::DropReader;

namespace {

std::string read_in_pieces(std::string_view bytes, size_t piece)
{
    DropReader reader;
    std::string seen;
    for (size_t at = 0; at < bytes.size(); at += piece) {
        reader.feed(bytes.substr(at, piece));
        while (true) {
            auto found = reader.next();
            if (!found)
                return "error";
            if (*found == DropReader::Found::Content)
                seen += reader.content();
            else if (*found == DropReader::Found::End && at + piece >= bytes.size()) {
                if (reader.attributes().recipients.empty() || reader.content_size() != seen.size())
                    std::abort();
                return seen;
            } else
                break;
        }
    }
    return "unfinished";
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::string whole = read_in_pieces(bytes, std::max<size_t>(size, 1));
    if (read_in_pieces(bytes, 1) != whole || read_in_pieces(bytes, 13) != whole)
        std::abort();
    return 0;
}
