// Spellings of user ids from any bytes: what PostgreSQL writes is taken, what a reader takes for
// the same number or uuid is not, however it comes.
#include "core/user_spelling.hpp"

#include "property.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>

using namespace coupon_guard;
using fuzzing::exact_copy;
using fuzzing::require;

namespace {

spelling_fault judge(user_id_type type, std::string_view id) {
    const exact_copy copy(id);
    return judge_spelling(type, copy.view().data(), copy.view().size());
}

spelling_fault judge_bytewise(user_id_type type, std::string_view id) {
    const exact_copy copy(id);
    return judge_bytewise_spelling(type, copy.view().data(), copy.view().size());
}

bool is_taken(std::string_view id) {
    return judge(user_id_type::automatic, id) == spelling_fault::none;
}

// What the C library reads all of the id as, as a whole number.
bool reads_as_bigint(const std::string &id, int base, std::int64_t &number) {
    if (id.empty() || id.find('\0') != std::string::npos)
        return false;
    char *end = nullptr;
    errno = 0;
    number = std::strtoll(id.c_str(), &end, base);
    return errno == 0 && *end == '\0' && end != id.c_str();
}

bool is_written_by_postgres(const std::string &id) {
    std::int64_t number = 0;
    char text[32];
    if (!reads_as_bigint(id, 10, number))
        return false;
    std::snprintf(text, sizeof text, "%" PRId64, number);
    return id == text;
}

bool is_uuid_of_postgres(std::string_view id) {
    std::string shape(id);
    for (char &c : shape)
        c = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ? '0' : c;
    return shape == "00000000-0000-0000-0000-000000000000";
}

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

// ASCII in full width.
std::string in_full_width(std::string_view id) {
    std::string wide;
    for (char c : id) {
        utf8proc_uint8_t bytes[4];
        const utf8proc_int32_t point = c > ' ' && c < 0x7F ? c + 0xFEE0 : c;
        const auto length = utf8proc_encode_char(point, bytes);
        wide.append(reinterpret_cast<char *>(bytes), static_cast<std::size_t>(length));
    }
    return wide;
}

// With a zero in front that changes nothing; a uuid, in which each zero counts, with brackets.
std::string with_zero(const std::string &id) {
    return is_uuid_of_postgres(id) ? "{" + id + "}" : id[0] == '-' ? "-0" + id.substr(1) : "0" + id;
}

bool is_fault_of_value(spelling_fault fault) {
    return fault == spelling_fault::number || fault == spelling_fault::uuid;
}

void check_typed(const std::string &id) {
    require(judge(user_id_type::text, id) == spelling_fault::none, "text is taken as it is");
    require((judge(user_id_type::bigint, id) == spelling_fault::none) == is_written_by_postgres(id),
            "of type bigint is what PostgreSQL writes as one");
    require((judge(user_id_type::uuid, id) == spelling_fault::none) == is_uuid_of_postgres(id),
            "of type uuid is what PostgreSQL writes as one");
}

void check_automatic(const std::string &id) {
    const spelling_fault fault = judge(user_id_type::automatic, id);
    require(*describe(fault) != '\0' || fault == spelling_fault::none, "a fault has words");
    if (is_written_by_postgres(id) || is_uuid_of_postgres(id)) {
        require(fault == spelling_fault::none, "what PostgreSQL writes is taken");
        require(!is_taken(with_zero(id)) && !is_taken("'" + id + "'") && !is_taken(id + " ") &&
                    !is_taken("\t" + id),
                "zeros, quotes and blanks around it make another spelling");
        const std::string unseen = "\xE2\x80\x8B";
        require(!is_taken(id.substr(0, id.size() / 2) + unseen + id.substr(id.size() / 2)),
                "so does a character that is not seen");
        require(!is_taken(in_full_width(id)), "so do letters of full width");
        return;
    }
    std::int64_t number = 0;
    for (int base : {10, 16})
        if (reads_as_bigint(id, base, number) && (base == 10 || id.find_first_of("xX") < 3))
            require(fault != spelling_fault::none, "what the C library reads as a number is one");
}

// Of ASCII, which every encoding has, it must not matter how it comes.
void check_ascii(const std::string &id) {
    const spelling_fault fault = judge(user_id_type::automatic, id);
    require(judge_bytewise(user_id_type::automatic, id) == fault,
            "ASCII is judged the same in every encoding");
    std::string other_case(id);
    for (char &c : other_case)
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    if (is_fault_of_value(fault)) {
        require(judge(user_id_type::automatic, other_case) == fault, "case does not matter");
        if (3 * id.size() <= 255)
            require(!is_taken(in_full_width(id)), "nor do letters of full width");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string id(reinterpret_cast<const char *>(data), size);
    check_typed(id);
    check_automatic(id);
    judge_bytewise(user_id_type::automatic, id);
    if (is_ascii(id))
        check_ascii(id);
    return 0;
}
