// Content off the wire, in pieces whose size the first byte chooses: the result must not depend on the cuts,
// must hold no bare CR or LF, and must come back from the writer as it was.
#include "lib/smtp/data_reader.h"
#include "lib/smtp/data_writer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace posthouse::smtp;

namespace {

struct Read {
    std::string content;
    size_t consumed = 0;
    bool finished = false;
    ContentFacts facts;
    bool operator==(const Read&) const = default;
};

Read read_all(std::string_view input, size_t piece, DataReader::LineEnds line_ends)
{
    DataReader reader(line_ends);
    Read read;
    size_t there = 0;
    while (!read.finished) {
        const size_t before = there;
        there = std::min(input.size(), there + piece);
        while (true) {
            const auto step = reader.scan(input.substr(read.consumed, there - read.consumed));
            read.content.append(step.content);
            read.consumed += step.consumed;
            read.finished = step.finished;
            if (step.finished || step.content.empty())
                break;
        }
        if (there == before)
            break;
    }
    read.facts = reader.facts();
    return read;
}

void require_crlf_only(const std::string& content)
{
    for (size_t i = 0; i < content.size(); ++i) {
        if (content[i] == '\n' && (i == 0 || content[i - 1] != '\r'))
            abort();
        if (content[i] == '\r' && i + 1 < content.size() && content[i + 1] != '\n')
            abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size == 0)
        return 0;
    const auto line_ends = data[0] & 1 ? DataReader::LineEnds::Legacy : DataReader::LineEnds::Standard;
    const std::string input(reinterpret_cast<const char*>(data + 1), size - 1);
    const Read whole = read_all(input, input.size() + 1, line_ends);
    const Read cut = read_all(input, 1 + data[0] / 2, line_ends);
    if (!(whole == cut))
        abort();
    require_crlf_only(whole.content);
    if (!whole.finished)
        return 0;
    DataWriter writer(whole.facts, 0);
    std::string wire;
    writer.append(whole.content, wire);
    writer.finish(wire);
    const Read back = read_all(wire, wire.size(), DataReader::LineEnds::Standard);
    if (!back.finished || back.consumed != wire.size() || back.content != whole.content)
        abort();
    return 0;
}
