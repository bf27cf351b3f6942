import Glibc

/// Mounts of this process's namespace.
enum MountTable {
    struct Mount: Hashable {
        var path: String
        var type: String
        var source: String
    }

    static func read() -> [Mount] {
        guard let file = fopen("/proc/self/mountinfo", "re") else { return [] }
        defer { fclose(file) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { text += buffer[..<count] }
        return parse(text)
    }

    /// proc(5): the fifth field is the place; behind a lone dash come type and source.
    static func parse(_ text: [UInt8]) -> [Mount] {
        text.split(separator: 10).compactMap { line in
            let fields = line.split(separator: 0x20)
            guard fields.count > 8, let dash = fields.dropFirst(6).firstIndex(where: { $0.elementsEqual("-".utf8) }),
                fields.count > dash + 2
            else { return nil }
            return Mount(path: plain(fields[4]), type: plain(fields[dash + 1]), source: plain(fields[dash + 2]))
        }
    }

    /// Blanks and backslashes stand as `\040`.
    private static func plain(_ field: ArraySlice<UInt8>) -> String {
        var bytes: [UInt8] = []
        var at = field.startIndex
        while at < field.endIndex {
            if field[at] == UInt8(ascii: "\\"), at + 3 < field.endIndex,
                let code = UInt8(String(decoding: field[(at + 1)...(at + 3)], as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                at += 4
            } else {
                bytes.append(field[at])
                at += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
