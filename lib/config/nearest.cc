// Edit distance: see nearest.h.
#include "lib/config/nearest.h"

#include <algorithm>

namespace posthouse::config {

size_t edit_distance(std::string_view a, std::string_view b)
{
    // Three rows of the usual table: the one being filled, the last, and the one before for swaps.
    std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({change, last[j] + 1, row[j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& known)
{
    constexpr size_t longest = 100; // no parameter is longer; keeps the work bounded
    if (name.size() > longest)
        return {};
    size_t best = std::min<size_t>(4, 1 + name.size() / 5) + 1;
    std::string_view found;
    for (std::string_view candidate : known) {
        size_t difference = candidate.size() > name.size() ? candidate.size() - name.size() : name.size() - candidate.size();
        if (difference >= best)
            continue;
        size_t distance = edit_distance(name, candidate);
        if (distance < best) {
            best = distance;
            found = candidate;
        }
    }
    return found;
}

} // namespace posthouse::config
