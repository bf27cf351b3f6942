package import BurstScreen
import Glibc

/// Screens kept as text, to be compared with what is drawn. The text is the screen: who reviews a change reads it.
///
/// `RECORD=1` in the environment rewrites a file that differs, and says so as a difference all the same, so that no
/// recording passes unseen.
package enum GoldenScreen {
    package static var isRecording: Bool { getenv("RECORD").map { String(cString: $0) } == "1" }

    /// What differs between a grid and its golden file, as a unified difference; nil where nothing does. The
    /// place of the hardware cursor, where it is seen, is the last line of the file.
    package static func difference(_ grid: Grid, folder: String, name: String) -> String? {
        let path = "\(folder)/\(name).txt"
        var drawn = grid.text
        if let cursor = grid.cursor { drawn += "cursor: column \(cursor.column), row \(cursor.row)\n" }
        let kept = text(of: path)
        if kept == drawn { return nil }
        let told = unified(lines(kept ?? ""), lines(drawn), name: name)
        guard isRecording else {
            return kept == nil
                ? "no golden screen \(name); RECORD=1 writes it:\n\(drawn)"
                : "the screen differs; RECORD=1 rewrites the golden one if the new one is right:\n\(told)"
        }
        write(drawn, to: path)
        return kept == nil ? "recorded \(name):\n\(drawn)" : "recorded \(name):\n\(told)"
    }

    private static func lines(_ text: String) -> [Substring] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    /// Changed rows with one row around them. Screens have few rows, and a row stays in its place: no search is needed.
    private static func unified(_ old: [Substring], _ new: [Substring], name: String) -> String {
        var text = "--- \(name) (golden)\n+++ \(name) (drawn)\n"
        let count = max(old.count, new.count)
        func row(_ lines: [Substring], _ index: Int) -> Substring? { index < lines.count ? lines[index] : nil }
        let changed = (0..<count).filter { row(old, $0) != row(new, $0) }
        var shown = -1
        for index in 0..<count {
            guard let near = changed.first(where: { abs($0 - index) <= 1 }) else { continue }
            if shown != index - 1 { text += "@@ row \(index) @@\n" }
            shown = index
            if near == index {
                if let line = row(old, index) { text += "-\(line)\n" }
                if let line = row(new, index) { text += "+\(line)\n" }
            } else if let line = row(new, index) {
                text += " \(line)\n"
            }
        }
        return text
    }

    private static func text(of path: String) -> String? {
        access(path, R_OK) == 0 ? String(decoding: Fixtures.bytes(of: path), as: UTF8.self) : nil
    }

    private static func write(_ text: String, to path: String) {
        guard let file = fopen(path, "wb") else {
            fatalError("cannot write \(path): \(String(cString: strerror(errno)))")
        }
        let bytes = Array(text.utf8)
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }
}
