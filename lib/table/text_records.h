// The records of a table that is text (texthash, inline), all of them, for who wants to do something about each before
// it is asked for. Not for patterns or indexed files.
#pragma once

#include "lib/table/table.h"
#include "lib/table/text_file.h"

#include <string_view>
#include <vector>

namespace posthouse::table {

struct TextRecords {
    std::vector<Record> records; // keys as they are written; the first of equal ones counts
    TableFile file;              // tells when it was replaced; of an inline table nothing
};

// Whether `type_and_name` is such a table.
bool has_text_records(std::string_view type_and_name);
// A line that is no record is warned about and left out.
Result<TextRecords> read_text_records(std::string_view type_and_name, const Context& context);

} // namespace posthouse::table
