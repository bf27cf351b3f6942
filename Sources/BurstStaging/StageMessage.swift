/// The one line that says why, for a job's reason (staging.md §1.7): at most 200 bytes, no apostrophe, names shown so
/// that they cannot be taken for words of the protocol.
enum StageMessage {
    static let bytesMax = 200
    private static let pathBytesMax = 48

    static func failure(
        phase: StageOrder.Phase, number: Int, total: Int, source: [UInt8], destination: [UInt8], text: String,
        session: String
    ) -> String {
        let verb = phase == .stageIn ? "stage_in" : "stage_out"
        return fitted(
            "\(verb) file \(number) of \(total): \(short(source)) -> \(short(destination)): \(text)",
            "; session \(session)")
    }

    static func full(phase: StageOrder.Phase, needed: UInt64, capacity: UInt64, session: String) -> String {
        let verb = phase == .stageIn ? "stage_in" : "stage_out"
        return fitted(
            "\(verb): ENOSPC (no space left on device): \(size(needed)) of \(size(capacity))", "; session \(session)")
    }

    static func fullOfInodes(phase: StageOrder.Phase, capacity: UInt64, session: String) -> String {
        let verb = phase == .stageIn ? "stage_in" : "stage_out"
        return fitted(
            "\(verb): ENOSPC (no space left on device): more than \(capacity) files and directories",
            "; session \(session)")
    }

    static func plain(_ phase: StageOrder.Phase, _ text: String, session: String) -> String {
        let verb = phase == .stageIn ? "stage_in" : "stage_out"
        return fitted("\(verb): \(text)", "; session \(session)")
    }

    private static func fitted(_ text: String, _ end: String) -> String {
        var text = text.split(separator: "'", omittingEmptySubsequences: false).joined()
        while text.utf8.count + end.utf8.count > bytesMax { text.removeLast() }
        return text + end
    }

    /// The end of a path says most. Words that would be read as success lose their blank.
    private static func short(_ path: [UInt8]) -> String {
        var shown = FileName.shown(path)
        for words in ["token not found", "No matching session"] where shown.contains(words) {
            shown = shown.split(separator: " ", omittingEmptySubsequences: false).joined(separator: "\\x20")
        }
        guard shown.utf8.count > pathBytesMax else { return shown }
        while shown.utf8.count > pathBytesMax - 3 { shown.removeFirst() }
        return "..." + shown
    }

    /// In the largest unit of which there is one, with one digit after the point.
    static func size(_ bytes: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var unit = 0
        var divisor: UInt64 = 1
        while unit + 1 < units.count, bytes / divisor >= 1024 {
            divisor <<= 10
            unit += 1
        }
        if unit == 0 { return "\(bytes)B" }
        let tenths = (bytes / divisor) * 10 + (bytes % divisor) / (divisor / 1024) * 10 / 1024
        return "\(tenths / 10).\(tenths % 10)\(units[unit])"
    }
}
