/// Reads a command line as getopt_long does: options and words in any order, `--NAME=VALUE`, `--NAME VALUE`, `-xVALUE`,
/// `-x VALUE`, `-xyz`, long names shortened as long as they are clear, `--` before words.
package struct OptionReader {
    package enum Value: Sendable {
        case none, required, optional
    }

    package struct Option: Sendable {
        package var name: String
        package var letter: Character?
        package var value: Value

        package init(_ name: String, _ letter: Character? = nil, _ value: Value = .none) {
            self.name = name
            self.letter = letter
            self.value = value
        }
    }

    /// As getopt_long prints it, behind the program's name.
    package struct Fault: Error, Hashable, Sendable {
        package var text: String
    }

    package private(set) var given: [(name: String, value: String?)] = []
    package private(set) var words: [String] = []

    package init(_ arguments: [String], options: [Option]) throws(Fault) {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            if word == "--" {
                words += rest
                return
            }
            if word.hasPrefix("--") {
                let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let name = String(parts[0])
                let option = try Self.find(name, options)
                var value = parts.count > 1 ? String(parts[1]) : nil
                if option.value == .none, value != nil {
                    throw Fault(text: "option '--\(option.name)' doesn't allow an argument")
                }
                if option.value == .required, value == nil {
                    guard let next = rest.popFirst() else {
                        throw Fault(text: "option '--\(option.name)' requires an argument")
                    }
                    value = next
                }
                given.append((option.name, value))
            } else if word.hasPrefix("-"), word.count > 1 {
                var letters = word.dropFirst()
                while let letter = letters.popFirst() {
                    guard let option = options.first(where: { $0.letter == letter }) else {
                        throw Fault(text: "invalid option -- '\(letter)'")
                    }
                    var value: String?
                    if option.value != .none, !letters.isEmpty {
                        value = String(letters)
                        letters = ""
                    } else if option.value == .required {
                        guard let next = rest.popFirst() else {
                            throw Fault(text: "option requires an argument -- '\(letter)'")
                        }
                        value = next
                    }
                    given.append((option.name, value))
                }
            } else {
                words.append(word)
            }
        }
    }

    private static func find(_ name: String, _ options: [Option]) throws(Fault) -> Option {
        if let exact = options.first(where: { $0.name == name }) { return exact }
        let fitting = name.isEmpty ? [] : options.filter { $0.name.hasPrefix(name) }
        if fitting.count == 1 { return fitting[0] }
        if fitting.isEmpty { throw Fault(text: "unrecognized option '--\(name)'") }
        let names = fitting.map { "'--\($0.name)'" }.joined(separator: " ")
        throw Fault(text: "option '--\(name)' is ambiguous; possibilities: \(names)")
    }

    package func has(_ name: String) -> Bool { given.contains { $0.name == name } }
    package func count(_ name: String) -> Int { given.count { $0.name == name } }
    /// The last of them.
    package func value(_ name: String) -> String? { given.last { $0.name == name }?.value }
    /// Parted at commas.
    package func list(_ name: String) -> [String] {
        given.filter { $0.name == name }.flatMap { Self.parts($0.value ?? "") }
    }

    static func parts(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }
}

extension Invocation {
    /// Reads the arguments; what is wrong is printed as getopt_long and Slurm's commands print it.
    func read(_ options: [OptionReader.Option]) -> OptionReader? {
        do throws(OptionReader.Fault) {
            return try OptionReader(arguments, options: options)
        } catch {
            console.complain("\(name): \(error.text)")
            console.complain("Try \"\(name) --help\" for more information")
            return nil
        }
    }
}
