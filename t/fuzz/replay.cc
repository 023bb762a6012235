// Runs a fuzz target over its corpus when there is no fuzzing engine: each file whole, cut at each of its
// first lengths, and with single bytes changed. `make check` calls it for every target; with
// --enable-fuzzers (clang) the same targets are linked with libFuzzer instead.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t most_cuts = 400;
constexpr size_t most_changes = 2000;

// A copy in memory of exactly this size, so that the sanitizer sees a read beyond it.
void run(const std::string& bytes, size_t size)
{
    const std::vector<uint8_t> exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void run_variants(const std::string& bytes)
{
    run(bytes, bytes.size());
    for (size_t cut = 0; cut < std::min(bytes.size(), most_cuts); ++cut)
        run(bytes, cut);
    const size_t step = std::max<size_t>(1, bytes.size() * 4 / most_changes);
    for (size_t at = 0; at < bytes.size(); at += step)
        for (const char change : {'\x01', '\x20', '\x80', '\xff'}) {
            std::string changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ change);
            run(changed, changed.size());
        }
}

} // namespace

int main(int argc, char** argv)
{
    size_t files = 0;
    for (int i = 1; i < argc; ++i) {
        if (!std::filesystem::is_directory(argv[i])) {
            fprintf(stderr, "%s: no such folder\n", argv[i]);
            return 1;
        }
        for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
            run_variants(bytes);
            ++files;
        }
    }
    printf("%zu files of the corpus\n", files);
    return files ? 0 : 1;
}
