// Reading content off the wire: see data_reader.h.
//
// The scan goes from line end to line end with memchr. Text that needs no change is never copied: it is
// handed on as a view of the input, up to the first place that needs one; the rest of that input is then
// put together in `out_`.
#include "lib/smtp/data_reader.h"

#include <algorithm>
#include <cstring>

namespace posthouse::smtp {

namespace {

bool any_8bit(std::string_view text)
{
    uint64_t seen = 0;
    const char* p = text.data();
    size_t left = text.size();
    for (; left >= 8; p += 8, left -= 8) {
        uint64_t word;
        std::memcpy(&word, p, 8);
        seen |= word;
    }
    for (; left > 0; ++p, --left)
        seen |= static_cast<unsigned char>(*p);
    return seen & 0x8080808080808080u;
}

size_t find(std::string_view text, char c, size_t from, size_t to)
{
    const void* hit = std::memchr(text.data() + from, c, to - from);
    return hit ? static_cast<size_t>(static_cast<const char*>(hit) - text.data()) : std::string_view::npos;
}

constexpr size_t npos = std::string_view::npos;

} // namespace

// What one call gives out: the input as it is, or `copy` once something had to change.
struct DataReader::Output {
    std::string_view input;
    std::string& copy;
    size_t position = 0; // scanned so far
    size_t kept = 0;     // input from here to `position` is not yet in `copy`
    bool copying = false;

    // Called before input at `position` is changed. False: there is unchanged text to hand on first.
    bool begin_change()
    {
        if (!copying && position > 0)
            return false;
        copying = true;
        copy.append(input.substr(kept, position - kept));
        return true;
    }
    void replace(size_t input_bytes, std::string_view by)
    {
        copy.append(by);
        position += input_bytes;
        kept = position;
    }
    std::string_view content()
    {
        if (!copying)
            return input.substr(0, position);
        copy.append(input.substr(kept, position - kept));
        kept = position;
        return copy;
    }
};

DataReader::Dot DataReader::classify_dot(std::string_view rest) const
{
    const bool at_end_place = at_ == At::LineStart || line_ends_ == LineEnds::Legacy;
    if (rest.size() < 2)
        return Dot::NeedMore;
    if (rest[1] == '\n')
        return line_ends_ == LineEnds::Legacy ? Dot::End : Dot::Kept;
    if (rest[1] != '\r')
        return Dot::Stuffed;
    if (rest.size() < 3)
        return Dot::NeedMore;
    if (rest[2] != '\n')
        return Dot::Stuffed;
    return at_end_place ? Dot::End : Dot::Kept;
}

void DataReader::note_text(std::string_view text)
{
    if (text.empty())
        return;
    at_ = At::InLine;
    line_length_ += text.size();
    bool& has_8bit = in_header_ ? facts_.has_8bit_header : facts_.has_8bit_body;
    if (!has_8bit)
        has_8bit = any_8bit(text);
}

void DataReader::end_line(At next)
{
    if (line_length_ > facts_.longest_line)
        facts_.longest_line = static_cast<uint32_t>(std::min<uint64_t>(line_length_, UINT32_MAX));
    if (line_length_ == 0)
        in_header_ = false;
    line_length_ = 0;
    at_ = next;
}

DataReader::Step DataReader::run(std::string_view input, bool dots, bool keep_cr)
{
    Output output{input, out_};
    const size_t size = input.size();
    bool finished = false;
    while (output.position < size) {
        size_t& position = output.position;
        if (at_ != At::InLine && input[position] == '.') {
            const Dot dot = dots ? classify_dot(input.substr(position)) : Dot::Kept;
            if (dot == Dot::NeedMore)
                break;
            if (dot == Dot::End) {
                finished = true;
                break;
            }
            if (dot == Dot::Stuffed) {
                if (!output.begin_change())
                    break;
                output.replace(1, "");
                at_ = At::InLine;
                facts_.has_leading_dot |= input[position] == '.';
            } else {
                facts_.has_leading_dot = true;
            }
        }
        const size_t lf = find(input, '\n', position, size);
        const size_t end = lf == npos ? size : lf;
        const size_t nul = find(input, '\0', position, end);
        const size_t cr = find(input, '\r', position, nul == npos ? end : nul);
        if (cr != npos && cr + 1 == lf) {
            note_text(input.substr(position, cr - position));
            end_line(At::LineStart);
            position = lf + 1;
            continue;
        }
        const size_t text_end = std::min({cr, nul, end});
        note_text(input.substr(position, text_end - position));
        position = text_end;
        if (position == size || (cr + 1 == size && !keep_cr))
            break;
        if (!output.begin_change())
            break;
        if (cr != npos && cr + 1 == size) {
            pending_cr_ = true;
            output.replace(1, "");
            break;
        }
        facts_.has_bare |= cr != npos || nul == npos;
        if (cr != npos || nul != npos) {
            note_text(" ");
            output.replace(1, " ");
        } else {
            bare_lf_ = true;
            end_line(line_ends_ == LineEnds::Legacy ? At::LineStart : At::AfterBareLf);
            output.replace(1, "\r\n");
        }
    }
    Step step;
    step.content = output.content();
    step.consumed = output.position;
    step.finished = finished;
    size_ += step.content.size();
    return step;
}

DataReader::Step DataReader::scan(std::string_view input)
{
    out_.clear();
    Step step = run(input, true, false);
    if (step.finished)
        step.consumed += input[step.consumed + 1] == '\n' ? 2 : 3;
    return step;
}

DataReader::Step DataReader::scan_chunk(std::string_view input)
{
    out_.clear();
    if (!pending_cr_ || input.empty())
        return run(input, false, true);
    // The last chunk ended in CR.
    pending_cr_ = false;
    Step step;
    if (input.front() == '\n') {
        end_line(At::LineStart);
        out_ = "\r\n";
        step.consumed = 1;
    } else {
        facts_.has_bare = true;
        note_text(" ");
        out_ = " ";
    }
    step.content = out_;
    size_ += step.content.size();
    return step;
}

std::string_view DataReader::finish_chunks()
{
    out_.clear();
    if (pending_cr_) {
        facts_.has_bare = true;
        out_ = " ";
        note_text(out_);
        pending_cr_ = false;
    }
    if (at_ != At::InLine)
        return out_;
    end_line(At::LineStart);
    out_ += "\r\n";
    size_ += out_.size();
    return out_;
}

} // namespace posthouse::smtp
