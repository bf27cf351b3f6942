--[[
burst_buffer.lua: real burst buffers for Slurm's burst_buffer/lua (22.05 to 26.05) and for burstd, over burstd's stager.

Put it beside slurm.conf. burst_buffer.conf needs nothing for it. Users write, above the first command:

  #BB_LUA jobdw pool=POOL capacity=SIZE [type=scratch] [access_mode=striped|private|striped,private]
  #BB_LUA stage_in  type=file|directory|list source=/PATH destination=$DW_JOB_STRIPED/PATH
  #BB_LUA stage_out type=file|directory|list source=$DW_JOB_STRIPED/PATH destination=/PATH
  #BB_LUA persistentdw name=NAME

Slurm runs slurm_bb_job_process, slurm_bb_pools and slurm_bb_paths within slurmctld, with its locks held and without a
time limit: they read small files and start nothing.
]]

-- What a site may have elsewhere.
local settings = {
    -- Folder of dw_wlm_cli and dwstat.
    programs = os.getenv("BURST_PROGRAMS") or "/usr/local/bin",
    -- burstd's socket. The stager keeps its files in the folder "stager" beside it.
    socket = os.getenv("BURST_SOCKET") or "/run/burst/burstd.sock",
    -- Directive= of burst_buffer.conf.
    directive = "BB_LUA",
    -- Seconds after which the figures of the pools are too old to be told.
    pools_age_max = 60,
}

local folder = (settings.socket:match("^(.*)/[^/]*$") or ".") .. "/stager"
-- From 23.02 on Slurm asks again while a copy is under way. Before, the hook itself has to wait.
local polls = slurm.SLURM_BB_BUSY ~= nil

-- What a file holds, at most so many bytes; nil where there is none.
local function read(path, bytes_max)
    local file = io.open(path, "r")
    if not file then return nil end
    local text = file:read(bytes_max) or ""
    file:close()
    return text
end

----------------------------------------------------------------------------------------------------------------------
-- The programs

local function quote(word)
    return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

-- Runs a program of ours. Returns whether it succeeded, and what it printed without the line feed at the end.
local function run(program, words)
    local command = { "BURST_SOCKET=" .. quote(settings.socket), quote(settings.programs .. "/" .. program) }
    for _, word in ipairs(words) do command[#command + 1] = quote(word) end
    -- Lua 5.1 does not tell how a command ended.
    local pipe = io.popen(table.concat(command, " ") .. " 2>&1 </dev/null; printf '\\n%d' $?", "r")
    if not pipe then return false, program .. ": cannot be started" end
    local output = pipe:read("*a") or ""
    pipe:close()
    local text, status = output:match("^(.*)\n(%d+)$")
    if not text then return false, program .. ": ended without an answer" end
    return status == "0", (text:gsub("\n$", ""))
end

local function verb(name, token, ...)
    return run("dw_wlm_cli", { "--function", name, "--token", token, ... })
end

-- As Slurm's datawarp plugin judges: what has no session any more is done.
local function outcome(succeeded, text)
    if succeeded or text:find("No matching session", 1, true) or text:find("token not found", 1, true) then
        return slurm.SUCCESS
    end
    return slurm.ERROR, text
end

----------------------------------------------------------------------------------------------------------------------
-- Directives

local powers = { k = 1, m = 2, g = 3, t = 4, p = 5 }

-- How many bytes a unit has; nil: Slurm does not know it, and counts bytes.
local function unit_bytes(unit)
    unit = unit:lower()
    if unit == "" then return 1 end
    local letter, rest = unit:sub(1, 1), unit:sub(2)
    if not powers[letter] then return nil end
    if rest == "" or rest == "ib" then return 1024 ^ powers[letter] end
    return rest == "b" and 1000 ^ powers[letter] or nil
end

-- A whole number of bytes as Slurm prints it.
local function size_text(bytes)
    for _, letter in ipairs({ "p", "t", "g", "m", "k" }) do
        for _, suffix in ipairs({ "ib", "b" }) do
            local unit = unit_bytes(letter .. suffix)
            if bytes % unit == 0 then
                return string.format("%.0f", bytes / unit) .. letter:upper() .. (suffix == "ib" and "iB" or "B")
            end
        end
    end
    return string.format("%.0f", bytes)
end

-- Whole numbers up to here are exact in every Lua.
local exact_max = 2 ^ 53

-- What is wrong with a size; nil: nothing.
local function size_fault(value)
    local shown = "capacity=" .. value
    if value:find("^%-") then return shown .. " is negative: write a size above 0, as capacity=200GiB" end
    local whole, fraction, unit = value:match("^%+?(%d*)[.,](%d+)(%a*)$")
    if whole then
        local reading = shown .. (whole == "" and " is no size for Slurm"
            or ": Slurm reads this as " .. whole .. (whole == "1" and " byte" or " bytes"))
        local bytes = unit_bytes(unit)
        local right = bytes and math.ceil(tonumber((whole == "" and "0" or whole) .. "." .. fraction) * bytes)
        if right and right > 0 and right < exact_max then
            return reading .. "; write capacity=" .. size_text(right)
        end
        return reading .. "; write a whole number and a unit, as capacity=200GiB"
    end
    local number, rest = value:match("^%+?(%d+)(.*)$")
    if not number then return shown .. " is no size: write a number and a unit, as capacity=200GiB" end
    if rest:lower() == "n" or rest:lower() == "node" or rest:lower() == "nodes" then
        return shown .. " counts nodes, which no pool here does: write a size, as capacity=200GiB"
    end
    local bytes = unit_bytes(rest)
    if not bytes then
        return shown .. ": Slurm reads this as " .. number .. (tonumber(number) == 1 and " byte" or " bytes")
            .. "; write K M G T or P, KiB to PiB for powers of 1024, KB to PB for powers of 1000"
    end
    if tonumber(number) == 0 then return shown .. ": write a size above 0, as capacity=200GiB" end
    if tonumber(number) * bytes >= 2 ^ 63 then return shown .. " is too large: write less than capacity=8192PiB" end
end

local function one_of(...)
    local words = { ... }
    return function(value, key)
        for _, word in ipairs(words) do
            if value == word then return nil end
        end
        return key .. "=" .. value .. ": no such " .. key .. "; write " .. key .. "=" .. table.concat(words, "|")
    end
end

local function name_fault(value, key)
    if not value:find("^[%w_.%-]+$") or #value > 128 then
        return key .. "=" .. value .. ": write letters, digits, _ - and ."
    end
end

local function some(value, key)
    if value == "" then return key .. "= has no value: write " .. key .. "=VALUE" end
end

local stage_keys = {
    type = one_of("file", "directory", "list"), source = some, destination = some,
}

-- The words that a directive may hold. What else the stager asks of them it says at setup.
local rules = {
    jobdw = {
        required = { "pool", "capacity" },
        keys = {
            type = one_of("scratch"), capacity = size_fault, access_mode = some, pool = name_fault, pfs = some,
            name = name_fault, write_window_length = some, write_window_multiplier = some, optimization_strategy = some,
        },
    },
    persistentdw = { required = { "name" }, keys = { name = name_fault } },
    stage_in = { required = { "type", "source" }, keys = stage_keys },
    stage_out = { required = { "type", "source" }, keys = stage_keys },
}
local verbs = "jobdw, persistentdw, stage_in, stage_out"

-- Cuts the text behind a directive into its verb and its keys. Returns nil and what is wrong with it.
local function words_of(text)
    local words = {}
    local at = 1
    while true do
        at = text:find("[^ \t]", at)
        -- Behind a # the rest is a comment.
        if not at or text:sub(at, at) == "#" then return words end
        local key, quoted = text:match('^([^ \t="]*)="([^"]*)"', at)
        if key then
            words[#words + 1] = { key = key, value = quoted, quoted = true }
            at = at + #key + #quoted + 3
        else
            local word = text:match("^[^ \t]+", at)
            local name, value = word:match("^([^=]*)=(.*)$")
            if value and value:sub(1, 1) == '"' then return nil, word .. ' has a quote that is not closed' end
            words[#words + 1] = { key = name or word, value = value }
            at = at + #word
        end
    end
end

local place = { "^%$DW_JOB_STRIPED$", "^%$DW_JOB_STRIPED/", "^%${DW_JOB_STRIPED}", "^/ss$", "^/ss/" }
local persistent_place = { "^%$DW_PERSISTENT_STRIPED_", "^%${DW_PERSISTENT_STRIPED_" }

local function matches(value, patterns)
    for _, pattern in ipairs(patterns) do
        if value:find(pattern) then return true end
    end
    return false
end

-- Whether a path is in the job's buffer ("job"), in a persistent one, or outside.
local function side(value)
    if matches(value, place) then return "job" end
    return matches(value, persistent_place) and "persistent" or "outside"
end

local function copy_fault(name, values)
    local source, destination = side(values.source), values.destination and side(values.destination)
    if values.type == "list" then return nil end
    if not destination then return name .. " has no destination=: write where the " .. values.type .. " goes" end
    local inner, outer, outer_key = source, destination, "destination"
    if name == "stage_in" then inner, outer, outer_key = destination, source, "source" end
    if inner == "outside" then
        return name .. (name == "stage_in" and " copies into a buffer: write destination=$DW_JOB_STRIPED/PATH"
            or " copies out of a buffer: write source=$DW_JOB_STRIPED/PATH")
    end
    if outer ~= "outside" and not matches(values[outer_key], { "^/" }) then
        return "both sides are in buffers: write " .. outer_key .. "= as a path on the parallel file system"
    end
    if not matches(values[outer_key], { "^/", "^%%d" }) then
        return outer_key .. "=" .. values[outer_key] .. ": is no path from / on; write it whole"
    end
end

-- Reads one directive into `job`. Returns what is wrong with it; nil: nothing.
local function directive_fault(text, job)
    if text:find("[^\t%C]") then
        return "holds a control character: end lines with a line feed alone, write blanks between words"
    end
    local words, fault = words_of(text)
    if not words then return fault end
    local mark = "#" .. settings.directive
    if not words[1] then return mark .. " says nothing: write " .. mark .. " jobdw pool=POOL capacity=SIZE" end
    local name = words[1].value and words[1].key .. "=" .. words[1].value or words[1].key
    local rule = rules[name]
    if not rule then return mark .. " " .. name .. ": no such directive; write one of " .. verbs end
    local values = {}
    for index = 2, #words do
        local word = words[index]
        local check = rule.keys[word.key]
        if not word.value then
            return word.key .. ' is no key=value: write a value with blanks in quotes, key="a b"'
        end
        if not check then
            local known = {}
            for key in pairs(rule.keys) do known[#known + 1] = key .. "=" end
            table.sort(known)
            return word.key .. "=: no such key of " .. mark .. " " .. name .. "; write one of "
                .. table.concat(known, " ")
        end
        if values[word.key] then return word.key .. "= stands there twice: write it once" end
        if word.quoted and (word.key == "pool" or word.key == "capacity") then
            return word.key .. "= has quotes, which Slurm takes for a part of the value: write " .. word.key .. "="
                .. word.value
        end
        values[word.key] = word.value
        local fault = check(word.value, word.key)
        if fault then return fault end
    end
    for _, key in ipairs(rule.required) do
        if not values[key] then
            return mark .. " " .. name .. " has no " .. key .. "=: write " .. key .. "="
                .. (key == "capacity" and "200GiB" or key == "type" and "file|directory|list" or key:upper())
        end
    end
    if name == "jobdw" then
        if job.pool and job.pool ~= values.pool then
            return "a second pool after " .. job.pool .. ": Slurm takes all from the last one; write one pool"
        end
        job.pool = values.pool
        local modes = values.access_mode or "striped"
        if modes:find("striped", 1, true) then job.striped = true end
    elseif name ~= "persistentdw" then
        for _, key in ipairs({ "capacity", "pool" }) do
            if text:find(key .. "=", 1, true) then
                return "Slurm reads " .. key .. "= within this line: take it out of there"
            end
        end
        local fault = copy_fault(name, values)
        if fault then return fault end
        for _, key in ipairs({ "source", "destination" }) do
            if values[key] and side(values[key]) == "job" and not values[key]:find("^/") then
                job.needs = job.needs or job.line
            end
        end
    end
end

-- What is wrong with a script, with the number of the line; nil: nothing. Lines are joined as Slurm joins them.
local function script_fault(text)
    local job = {}
    local mark = "#" .. settings.directive
    local number = 0
    local open, open_number
    local function close()
        local line, at = open, open_number
        open = nil
        if not line then return nil end
        job.line = at
        local fault = directive_fault(line, job)
        return fault and "line " .. at .. ": " .. fault
    end
    for line in (text:match("^[^%z]*") .. "\n"):gmatch("([^\n]*)\n") do
        number = number + 1
        if line:sub(1, 1) ~= "#" and line ~= "" then break end
        if line:sub(1, #mark) == mark then
            local rest = line:sub(#mark + 1)
            if open and open:sub(-1) == "\\" then
                open = open:sub(1, -2)
                if open:find("[ \t]$") then rest = rest:gsub("^[ \t]+", "") end
                open = open .. rest
            else
                local fault = close()
                if fault then return fault end
                open, open_number = rest, number
            end
        elseif line ~= "" then
            if open and open:sub(-1) == "\\" then
                return "line " .. open_number .. ": ends with a backslash before a comment: go on in the next line"
                    .. " with " .. mark .. ", or remove it"
            end
            local fault = close()
            if fault then return fault end
        end
    end
    if open and open:sub(-1) == "\\" then
        return "line " .. open_number .. ": ends with a backslash before the last directive's end: remove it"
    end
    local fault = close()
    if fault then return fault end
    if job.needs and not job.striped then
        return "line " .. job.needs .. ": there is no striped buffer: write " .. mark
            .. " jobdw pool=POOL capacity=SIZE access_mode=striped"
    end
end

-- A line that Slurm can show: short, without control characters.
local function line(text)
    text = text:gsub("%c", " ")
    return #text > 200 and text:sub(1, 197) .. "..." or text
end

----------------------------------------------------------------------------------------------------------------------
-- Within slurmctld: nothing may be started here

function slurm_bb_job_process(job_script)
    -- Directives stand at the top; Slurm itself has no script for most tasks of an array.
    local text = read(job_script, 1024 * 1024)
    local fault = text and script_fault(text)
    if fault then return slurm.ERROR, line(fault) end
    return slurm.SUCCESS
end

function slurm_bb_pools()
    local text = read(folder .. "/pools", 1024 * 1024)
    local time, json = (text or ""):match("^(%d+)\n(.*)$")
    -- A failure leaves the pools as Slurm knows them; no buffer is lost by it.
    if not time then return slurm.ERROR, "the stager is away: no " .. folder .. "/pools" end
    local age = os.difftime(os.time(), tonumber(time))
    if age > settings.pools_age_max then
        return slurm.ERROR, "the stager is away: " .. folder .. "/pools is " .. string.format("%.0f", age) .. " s old"
    end
    return slurm.SUCCESS, json
end

function slurm_bb_paths(job_id, job_script, path_file)
    local text = read(folder .. "/paths/" .. job_id:gsub("[^%w_.%-]", ""), 1024 * 1024)
    if not text then return slurm.ERROR, "job " .. job_id .. " has no buffer in " .. folder .. "/paths" end
    -- For most tasks of an array Slurm names a file that cannot be, and reads none.
    local file = io.open(path_file, "w")
    if not file then return slurm.SUCCESS end
    local written, fault = file:write(text)
    local closed, close_fault = file:close()
    if not written or not closed then
        return slurm.ERROR, path_file .. ": " .. tostring(fault or close_fault)
    end
    return slurm.SUCCESS
end

----------------------------------------------------------------------------------------------------------------------
-- In processes of their own

function slurm_bb_setup(job_id, uid, gid, pool, bb_size, job_script)
    return outcome(verb("setup", job_id, "--caller", "SLURM", "--user", uid, "--groupid", gid, "--capacity",
        pool .. ":" .. bb_size, "--job", job_script, "--directive", settings.directive))
end

-- Begins a copy, or makes it.
local function copy(name, job_id, job_script)
    if polls then return outcome(verb(name, job_id, "--job", job_script, "--no-wait")) end
    return outcome(verb(name, job_id, "--job", job_script))
end

local function test(name, job_id)
    local succeeded, text = verb(name, job_id)
    if succeeded and text == "BUSY" then return slurm.SUCCESS, slurm.SLURM_BB_BUSY end
    return outcome(succeeded, text)
end

function slurm_bb_data_in(job_id, job_script) return copy("data_in", job_id, job_script) end

function slurm_bb_test_data_in(job_id) return test("test_data_in", job_id) end

function slurm_bb_real_size(job_id)
    local succeeded, text = verb("real_size", job_id)
    local bytes = succeeded and text:match('"capacity"%s*:%s*(%d+)')
    -- 0 changes nothing. A stage-in that went well does not fail for want of a figure.
    return slurm.SUCCESS, bytes or "0"
end

function slurm_bb_pre_run(job_id, job_script) return outcome(verb("pre_run", job_id, "--job", job_script)) end

function slurm_bb_post_run(job_id, job_script) return outcome(verb("post_run", job_id, "--job", job_script)) end

function slurm_bb_data_out(job_id, job_script) return copy("data_out", job_id, job_script) end

function slurm_bb_test_data_out(job_id) return test("test_data_out", job_id) end

function slurm_bb_job_teardown(job_id, job_script, hurry)
    if hurry == "true" then return outcome(verb("teardown", job_id, "--job", job_script, "--hurry")) end
    return outcome(verb("teardown", job_id, "--job", job_script))
end

function slurm_bb_get_status(...)
    local words = { ... }
    -- From 23.02 on the words are those behind the caller's numbers. No table of dwstat is a number.
    for _ = 1, 2 do
        if words[1] and words[1]:find("^%d+$") then table.remove(words, 1) end
    end
    local _, text = run("dwstat", words)
    -- Slurm does not show what a failing hook says.
    return slurm.SUCCESS, text .. "\n"
end
