import CSys
import Glibc

/// Runs a program of the system's by its name, without a shell.
enum Program {
    private static let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
    private static let outputMax = 4096

    static func run(_ name: String, _ words: [String], limitMilliseconds: Int32) throws(PoolFault) {
        let paths: [String] = folders.map { "\($0)/\(name)" }
        guard let path = paths.first(where: { access($0, X_OK) == 0 }) else {
            throw PoolFault(.impossible, name, "is not installed", "install the package that has it")
        }
        var arguments: [UnsafePointer<CChar>?] = []
        for word in [path] + words { arguments.append(UnsafePointer(strdup(word))) }
        arguments.append(nil)
        defer { for word in arguments { free(UnsafeMutableRawPointer(mutating: word)) } }
        var output = [CChar](repeating: 0, count: outputMax)
        let status = bb_run(path, &arguments, limitMilliseconds, &output, output.count)
        if status == 0 { return }
        if status < 0 { throw .system(path, "be run") }
        let text = output.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        let line = text.split(separator: "\n").last.map(String.init) ?? "it said nothing"
        if status & 0x7f == 0 { throw PoolFault(.damaged, path, "failed with exit status \(status >> 8): \(line)") }
        throw PoolFault(.damaged, path, "was ended by signal \(status & 0x7f): \(line)")
    }
}
