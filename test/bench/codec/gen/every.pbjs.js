/*eslint-disable block-scoped-var, id-length, no-control-regex, no-magic-numbers, no-mixed-operators, no-prototype-builtins, no-redeclare, no-shadow, no-var, sort-vars, default-case, jsdoc/require-param*/
import $protobuf from "protobufjs/minimal.js";

// Common aliases
const $Reader = $protobuf.Reader, $Writer = $protobuf.Writer, $util = $protobuf.util;
const $Object = $util.global.Object, $undefined = $util.global.undefined, $Error = $util.global.Error, $RangeError = $util.global.RangeError, $Array = $util.global.Array, $TypeError = $util.global.TypeError, $String = $util.global.String, $Number = $util.global.Number, $parseInt = $util.global.parseInt, $Boolean = $util.global.Boolean, $BigInt = $util.global.BigInt, $isFinite = $util.global.isFinite;

// Exported root namespace
const $root = $protobuf.roots["default"] || ($protobuf.roots["default"] = {});

export const every = $root.every = (() => {

    /**
     * Namespace every.
     * @exports every
     * @namespace
     */
    const every = {};

    every.Report = (function() {

        /**
         * Properties of a Report.
         * @typedef {Object} every.Report.$Properties
         * @property {string|null} [title] Report title
         * @property {Array.<every.Machine.$Properties>|null} [machines] Report machines
         * @property {Object.<string,every.Machine.$Properties>|null} [byName] Report byName
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */

        /**
         * Properties of a Report.
         * @memberof every
         * @interface IReport
         * @augments every.Report.$Properties
         * @deprecated Use every.Report.$Properties instead.
         */

        /**
         * Shape of a Report.
         * @typedef {{
         *   title?: string|null;
         *   machines?: Array.<every.Machine.$Shape>|null;
         *   byName?: Object.<string,every.Machine.$Shape>|null;
         *   $unknowns?: Array.<Uint8Array>;
         * }} every.Report.$Shape
         */

        /**
         * Constructs a new Report.
         * @memberof every
         * @classdesc Represents a Report.
         * @constructor
         * @param {every.Report.$Properties=} [properties] Properties to set
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */
        const Report = function (properties) {
            this.machines = [];
            this.byName = {};
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        /**
         * Report title.
         * @member {string} title
         * @memberof every.Report
         * @instance
         */
        Report.prototype.title = "";

        /**
         * Report machines.
         * @member {Array.<every.Machine.$Properties>} machines
         * @memberof every.Report
         * @instance
         */
        Report.prototype.machines = $util.emptyArray;

        /**
         * Report byName.
         * @member {Object.<string,every.Machine.$Properties>} byName
         * @memberof every.Report
         * @instance
         */
        Report.prototype.byName = $util.emptyObject;

        /**
         * Creates a new Report instance using the specified properties.
         * @function create
         * @memberof every.Report
         * @static
         * @param {every.Report.$Properties=} [properties] Properties to set
         * @returns {every.Report} Report instance
         * @type {{
         *   (properties: every.Report.$Shape): every.Report & every.Report.$Shape;
         *   (properties?: every.Report.$Properties): every.Report;
         * }}
         */
        Report.create = function(properties) {
            return new Report(properties);
        };

        /**
         * Encodes the specified Report message. Does not implicitly {@link every.Report.verify|verify} messages.
         * @function encode
         * @memberof every.Report
         * @static
         * @param {every.Report.$Properties} message Report message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Report.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.title != null && $Object.hasOwnProperty.call(message, "title") && message.title !== "")
                writer.uint32(/* id 1, wireType 2 =*/10).string(message.title);
            if (message.machines != null && message.machines.length)
                for (let i = 0; i < message.machines.length; ++i)
                    $root.every.Machine.encode(message.machines[i], writer.uint32(/* id 2, wireType 2 =*/18).fork(), _depth + 1).ldelim();
            if (message.byName != null && $Object.hasOwnProperty.call(message, "byName"))
                for (let keys = $Object.keys(message.byName), i = 0; i < keys.length; ++i) {
                    writer.uint32(/* id 3, wireType 2 =*/26).fork().uint32(/* id 1, wireType 2 =*/10).string(keys[i]);
                    $root.every.Machine.encode(message.byName[keys[i]], writer.uint32(/* id 2, wireType 2 =*/18).fork(), _depth + 1).ldelim().ldelim();
                }
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        /**
         * Encodes the specified Report message, length delimited. Does not implicitly {@link every.Report.verify|verify} messages.
         * @function encodeDelimited
         * @memberof every.Report
         * @static
         * @param {every.Report.$Properties} message Report message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Report.encodeDelimited = function(message, writer) {
            return this.encode(message, (writer || $Writer.create()).fork()).ldelim();
        };

        /**
         * Decodes a Report message from the specified reader or buffer.
         * @function decode
         * @memberof every.Report
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @param {number} [length] Message length if known beforehand
         * @returns {every.Report & every.Report.$Shape} Report
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Report.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, key, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.every.Report();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.title = value;
                        else
                            delete message.title;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if (!(message.machines && message.machines.length))
                            message.machines = [];
                        message.machines.push($root.every.Machine.decode(reader, reader.size(), $undefined, _depth + 1));
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        if (message.byName === $util.emptyObject)
                            message.byName = {};
                        let end2 = reader.size() + reader.pos;
                        if (end2 > reader.len)
                            throw $RangeError("index out of range");
                        reader.len = end2;
                        key = "";
                        value = null;
                        while (reader.pos < end2) {
                            let tag2 = reader.tag();
                            wireType = tag2 & 7;
                            switch (tag2 >>>= 3) {
                            case 1:
                                if (wireType !== 2)
                                    break;
                                key = reader.stringVerify();
                                continue;
                            case 2:
                                if (wireType !== 2)
                                    break;
                                value = $root.every.Machine.decode(reader, reader.size(), $undefined, _depth + 1, value);
                                continue;
                            }
                            reader.skipType(wireType, _depth, tag2);
                        }
                        if (reader.pos !== end2)
                            throw $RangeError("index out of range");
                        reader.len = end;
                        if (key === "__proto__")
                            $util.makeProp(message.byName, key);
                        message.byName[key] = value || new $root.every.Machine();
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        /**
         * Decodes a Report message from the specified reader or buffer, length delimited.
         * @function decodeDelimited
         * @memberof every.Report
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @returns {every.Report & every.Report.$Shape} Report
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Report.decodeDelimited = function(reader) {
            if (!(reader instanceof $Reader))
                reader = new $Reader(reader);
            return this.decode(reader, reader.size());
        };

        /**
         * Verifies a Report message.
         * @function verify
         * @memberof every.Report
         * @static
         * @param {Object.<string,*>} message Plain object to verify
         * @returns {string|null} `null` if valid, otherwise the reason why it is not
         */
        Report.verify = function (message, _depth) {
            if (typeof message !== "object" || message === null)
                return "object expected";
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                return "max depth exceeded";
            if (message.title != null && $Object.hasOwnProperty.call(message, "title"))
                if (!$util.isString(message.title))
                    return "title: string expected";
            if (message.machines != null && $Object.hasOwnProperty.call(message, "machines")) {
                if (!$Array.isArray(message.machines))
                    return "machines: array expected";
                for (let i = 0; i < message.machines.length; ++i) {
                    let error = $root.every.Machine.verify(message.machines[i], _depth + 1);
                    if (error)
                        return "machines." + error;
                }
            }
            if (message.byName != null && $Object.hasOwnProperty.call(message, "byName")) {
                if (!$util.isObject(message.byName))
                    return "byName: object expected";
                let key = $Object.keys(message.byName);
                for (let i = 0; i < key.length; ++i) {
                    let error = $root.every.Machine.verify(message.byName[key[i]], _depth + 1);
                    if (error)
                        return "byName." + error;
                }
            }
            return null;
        };

        /**
         * Creates a Report message from a plain object. Also converts values to their respective internal types.
         * @function fromObject
         * @memberof every.Report
         * @static
         * @param {Object.<string,*>} object Plain object
         * @returns {every.Report} Report
         */
        Report.fromObject = function (object, _depth) {
            if (object instanceof $root.every.Report)
                return object;
            if (!$util.isObject(object))
                throw $TypeError(".every.Report: object expected");
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let message = new $root.every.Report();
            if (object.title != null)
                if (typeof object.title !== "string" || object.title.length)
                    message.title = $String(object.title);
            if (object.machines) {
                if (!$Array.isArray(object.machines))
                    throw $TypeError(".every.Report.machines: array expected");
                message.machines = $Array(object.machines.length);
                for (let i = 0; i < object.machines.length; ++i) {
                    if (!$util.isObject(object.machines[i]))
                        throw $TypeError(".every.Report.machines: object expected");
                    message.machines[i] = $root.every.Machine.fromObject(object.machines[i], _depth + 1);
                }
            }
            if (object.byName) {
                if (!$util.isObject(object.byName))
                    throw $TypeError(".every.Report.byName: object expected");
                message.byName = {};
                for (let keys = $Object.keys(object.byName), i = 0; i < keys.length; ++i) {
                    if (keys[i] === "__proto__")
                        $util.makeProp(message.byName, keys[i]);
                    if (!$util.isObject(object.byName[keys[i]]))
                        throw $TypeError(".every.Report.byName: object expected");
                    message.byName[keys[i]] = $root.every.Machine.fromObject(object.byName[keys[i]], _depth + 1);
                }
            }
            return message;
        };

        /**
         * Creates a plain object from a Report message. Also converts values to other types if specified.
         * @function toObject
         * @memberof every.Report
         * @static
         * @param {every.Report} message Report
         * @param {$protobuf.IConversionOptions} [options] Conversion options
         * @returns {Object.<string,*>} Plain object
         */
        Report.toObject = function (message, options, _depth) {
            if (!options)
                options = {};
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let object = {};
            if (options.arrays || options.defaults)
                object.machines = [];
            if (options.objects || options.defaults)
                object.byName = {};
            if (options.defaults)
                object.title = "";
            if (message.title != null && $Object.hasOwnProperty.call(message, "title"))
                object.title = message.title;
            if (message.machines && message.machines.length) {
                object.machines = $Array(message.machines.length);
                for (let j = 0; j < message.machines.length; ++j)
                    object.machines[j] = $root.every.Machine.toObject(message.machines[j], options, _depth + 1);
            }
            let keys2;
            if (message.byName && (keys2 = $Object.keys(message.byName)).length) {
                object.byName = {};
                for (let j = 0; j < keys2.length; ++j) {
                    if (keys2[j] === "__proto__")
                        $util.makeProp(object.byName, keys2[j]);
                    object.byName[keys2[j]] = $root.every.Machine.toObject(message.byName[keys2[j]], options, _depth + 1);
                }
            }
            return object;
        };

        /**
         * Converts this Report to JSON.
         * @function toJSON
         * @memberof every.Report
         * @instance
         * @returns {Object.<string,*>} JSON object
         */
        Report.prototype.toJSON = function() {
            return Report.toObject(this, $protobuf.util.toJSONOptions);
        };

        /**
         * Gets the type url for Report
         * @function getTypeUrl
         * @memberof every.Report
         * @static
         * @param {string} [prefix] Custom type url prefix, defaults to `"type.googleapis.com"`
         * @returns {string} The type url
         */
        Report.getTypeUrl = function(prefix) {
            if (prefix === $undefined)
                prefix = "type.googleapis.com";
            return prefix + "/every.Report";
        };

        return Report;
    })();

    every.Machine = (function() {

        /**
         * Properties of a Machine.
         * @typedef {Object} every.Machine.$Properties
         * @property {number|null} [aInt32] Machine aInt32
         * @property {number|Long|null} [aInt64] Machine aInt64
         * @property {number|null} [aUint32] Machine aUint32
         * @property {number|Long|null} [aUint64] Machine aUint64
         * @property {number|null} [aSint32] Machine aSint32
         * @property {number|Long|null} [aSint64] Machine aSint64
         * @property {number|null} [aFixed32] Machine aFixed32
         * @property {number|Long|null} [aFixed64] Machine aFixed64
         * @property {number|null} [aSfixed32] Machine aSfixed32
         * @property {number|Long|null} [aSfixed64] Machine aSfixed64
         * @property {number|null} [aFloat] Machine aFloat
         * @property {number|null} [aDouble] Machine aDouble
         * @property {boolean|null} [aBool] Machine aBool
         * @property {string|null} [aString] Machine aString
         * @property {Uint8Array|null} [aBytes] Machine aBytes
         * @property {every.State|null} [state] Machine state
         * @property {every.Place.$Properties|null} [place] Machine place
         * @property {number|null} [maybe] Machine maybe
         * @property {Array.<number>|null} [numbers] Machine numbers
         * @property {Array.<string>|null} [labels] Machine labels
         * @property {Array.<number>|null} [samples] Machine samples
         * @property {Array.<every.Place.$Properties>|null} [places] Machine places
         * @property {Array.<every.State>|null} [states] Machine states
         * @property {Array.<Uint8Array>|null} [blobs] Machine blobs
         * @property {Object.<string,string>|null} [tags] Machine tags
         * @property {Object.<string,number>|null} [counts] Machine counts
         * @property {Object.<string,every.Place.$Properties>|null} [rooms] Machine rooms
         * @property {string|null} [text] Machine text
         * @property {number|null} [number] Machine number
         * @property {every.Place.$Properties|null} [elsewhere] Machine elsewhere
         * @property {"text"|"number"|"elsewhere"} [choice] Machine choice
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */

        /**
         * Properties of a Machine.
         * @memberof every
         * @interface IMachine
         * @augments every.Machine.$Properties
         * @deprecated Use every.Machine.$Properties instead.
         */

        /**
         * Narrowed shape of a Machine.
         * @typedef {{
         *   aInt32?: number|null;
         *   aInt64?: number|Long|null;
         *   aUint32?: number|null;
         *   aUint64?: number|Long|null;
         *   aSint32?: number|null;
         *   aSint64?: number|Long|null;
         *   aFixed32?: number|null;
         *   aFixed64?: number|Long|null;
         *   aSfixed32?: number|null;
         *   aSfixed64?: number|Long|null;
         *   aFloat?: number|null;
         *   aDouble?: number|null;
         *   aBool?: boolean|null;
         *   aString?: string|null;
         *   aBytes?: Uint8Array|null;
         *   state?: every.State|null;
         *   place?: every.Place.$Shape|null;
         *   maybe?: number|null;
         *   numbers?: Array.<number>|null;
         *   labels?: Array.<string>|null;
         *   samples?: Array.<number>|null;
         *   places?: Array.<every.Place.$Shape>|null;
         *   states?: Array.<every.State>|null;
         *   blobs?: Array.<Uint8Array>|null;
         *   tags?: Object.<string,string>|null;
         *   counts?: Object.<string,number>|null;
         *   rooms?: Object.<string,every.Place.$Shape>|null;
         *   text?: string|null;
         *   number?: number|null;
         *   elsewhere?: every.Place.$Shape|null;
         *   $unknowns?: Array.<Uint8Array>;
         * } & (
         *   ({ choice?: undefined; text?: null; number?: null; elsewhere?: null }|{ choice?: "text"; text: string; number?: null; elsewhere?: null }|{ choice?: "number"; text?: null; number: number; elsewhere?: null }|{ choice?: "elsewhere"; text?: null; number?: null; elsewhere: every.Place.$Shape })
         * )} every.Machine.$Shape
         */

        /**
         * Constructs a new Machine.
         * @memberof every
         * @classdesc Represents a Machine.
         * @constructor
         * @param {every.Machine.$Properties=} [properties] Properties to set
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */
        const Machine = function (properties) {
            this.numbers = [];
            this.labels = [];
            this.samples = [];
            this.places = [];
            this.states = [];
            this.blobs = [];
            this.tags = {};
            this.counts = {};
            this.rooms = {};
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        /**
         * Machine aInt32.
         * @member {number} aInt32
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aInt32 = 0;

        /**
         * Machine aInt64.
         * @member {number|Long} aInt64
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aInt64 = $util.Long ? $util.Long.fromBits(0,0,false) : 0;

        /**
         * Machine aUint32.
         * @member {number} aUint32
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aUint32 = 0;

        /**
         * Machine aUint64.
         * @member {number|Long} aUint64
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aUint64 = $util.Long ? $util.Long.fromBits(0,0,true) : 0;

        /**
         * Machine aSint32.
         * @member {number} aSint32
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aSint32 = 0;

        /**
         * Machine aSint64.
         * @member {number|Long} aSint64
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aSint64 = $util.Long ? $util.Long.fromBits(0,0,false) : 0;

        /**
         * Machine aFixed32.
         * @member {number} aFixed32
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aFixed32 = 0;

        /**
         * Machine aFixed64.
         * @member {number|Long} aFixed64
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aFixed64 = $util.Long ? $util.Long.fromBits(0,0,true) : 0;

        /**
         * Machine aSfixed32.
         * @member {number} aSfixed32
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aSfixed32 = 0;

        /**
         * Machine aSfixed64.
         * @member {number|Long} aSfixed64
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aSfixed64 = $util.Long ? $util.Long.fromBits(0,0,false) : 0;

        /**
         * Machine aFloat.
         * @member {number} aFloat
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aFloat = 0;

        /**
         * Machine aDouble.
         * @member {number} aDouble
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aDouble = 0;

        /**
         * Machine aBool.
         * @member {boolean} aBool
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aBool = false;

        /**
         * Machine aString.
         * @member {string} aString
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aString = "";

        /**
         * Machine aBytes.
         * @member {Uint8Array} aBytes
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.aBytes = $util.newBuffer([]);

        /**
         * Machine state.
         * @member {every.State} state
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.state = 0;

        /**
         * Machine place.
         * @member {every.Place.$Properties|null|undefined} place
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.place = null;

        /**
         * Machine maybe.
         * @member {number|null|undefined} maybe
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.maybe = null;

        /**
         * Machine numbers.
         * @member {Array.<number>} numbers
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.numbers = $util.emptyArray;

        /**
         * Machine labels.
         * @member {Array.<string>} labels
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.labels = $util.emptyArray;

        /**
         * Machine samples.
         * @member {Array.<number>} samples
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.samples = $util.emptyArray;

        /**
         * Machine places.
         * @member {Array.<every.Place.$Properties>} places
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.places = $util.emptyArray;

        /**
         * Machine states.
         * @member {Array.<every.State>} states
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.states = $util.emptyArray;

        /**
         * Machine blobs.
         * @member {Array.<Uint8Array>} blobs
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.blobs = $util.emptyArray;

        /**
         * Machine tags.
         * @member {Object.<string,string>} tags
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.tags = $util.emptyObject;

        /**
         * Machine counts.
         * @member {Object.<string,number>} counts
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.counts = $util.emptyObject;

        /**
         * Machine rooms.
         * @member {Object.<string,every.Place.$Properties>} rooms
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.rooms = $util.emptyObject;

        /**
         * Machine text.
         * @member {string|null|undefined} text
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.text = null;

        /**
         * Machine number.
         * @member {number|null|undefined} number
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.number = null;

        /**
         * Machine elsewhere.
         * @member {every.Place.$Properties|null|undefined} elsewhere
         * @memberof every.Machine
         * @instance
         */
        Machine.prototype.elsewhere = null;

        // OneOf field names bound to virtual getters and setters
        let $oneOfFields;

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(Machine.prototype, "_maybe", {
            get: $util.oneOfGetter($oneOfFields = ["maybe"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        /**
         * Machine choice.
         * @member {"text"|"number"|"elsewhere"|undefined} choice
         * @memberof every.Machine
         * @instance
         */
        $Object.defineProperty(Machine.prototype, "choice", {
            get: $util.oneOfGetter($oneOfFields = ["text", "number", "elsewhere"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        /**
         * Creates a new Machine instance using the specified properties.
         * @function create
         * @memberof every.Machine
         * @static
         * @param {every.Machine.$Properties=} [properties] Properties to set
         * @returns {every.Machine} Machine instance
         * @type {{
         *   (properties: every.Machine.$Shape): every.Machine & every.Machine.$Shape;
         *   (properties?: every.Machine.$Properties): every.Machine;
         * }}
         */
        Machine.create = function(properties) {
            return new Machine(properties);
        };

        /**
         * Encodes the specified Machine message. Does not implicitly {@link every.Machine.verify|verify} messages.
         * @function encode
         * @memberof every.Machine
         * @static
         * @param {every.Machine.$Properties} message Machine message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Machine.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.aInt32 != null && $Object.hasOwnProperty.call(message, "aInt32") && message.aInt32 !== 0)
                writer.uint32(/* id 1, wireType 0 =*/8).int32(message.aInt32);
            if (message.aInt64 != null && $Object.hasOwnProperty.call(message, "aInt64") && (typeof message.aInt64 === "object" ? message.aInt64.low || message.aInt64.high : message.aInt64 !== 0))
                writer.uint32(/* id 2, wireType 0 =*/16).int64(message.aInt64);
            if (message.aUint32 != null && $Object.hasOwnProperty.call(message, "aUint32") && message.aUint32 !== 0)
                writer.uint32(/* id 3, wireType 0 =*/24).uint32(message.aUint32);
            if (message.aUint64 != null && $Object.hasOwnProperty.call(message, "aUint64") && (typeof message.aUint64 === "object" ? message.aUint64.low || message.aUint64.high : message.aUint64 !== 0))
                writer.uint32(/* id 4, wireType 0 =*/32).uint64(message.aUint64);
            if (message.aSint32 != null && $Object.hasOwnProperty.call(message, "aSint32") && message.aSint32 !== 0)
                writer.uint32(/* id 5, wireType 0 =*/40).sint32(message.aSint32);
            if (message.aSint64 != null && $Object.hasOwnProperty.call(message, "aSint64") && (typeof message.aSint64 === "object" ? message.aSint64.low || message.aSint64.high : message.aSint64 !== 0))
                writer.uint32(/* id 6, wireType 0 =*/48).sint64(message.aSint64);
            if (message.aFixed32 != null && $Object.hasOwnProperty.call(message, "aFixed32") && message.aFixed32 !== 0)
                writer.uint32(/* id 7, wireType 5 =*/61).fixed32(message.aFixed32);
            if (message.aFixed64 != null && $Object.hasOwnProperty.call(message, "aFixed64") && (typeof message.aFixed64 === "object" ? message.aFixed64.low || message.aFixed64.high : message.aFixed64 !== 0))
                writer.uint32(/* id 8, wireType 1 =*/65).fixed64(message.aFixed64);
            if (message.aSfixed32 != null && $Object.hasOwnProperty.call(message, "aSfixed32") && message.aSfixed32 !== 0)
                writer.uint32(/* id 9, wireType 5 =*/77).sfixed32(message.aSfixed32);
            if (message.aSfixed64 != null && $Object.hasOwnProperty.call(message, "aSfixed64") && (typeof message.aSfixed64 === "object" ? message.aSfixed64.low || message.aSfixed64.high : message.aSfixed64 !== 0))
                writer.uint32(/* id 10, wireType 1 =*/81).sfixed64(message.aSfixed64);
            if (message.aFloat != null && $Object.hasOwnProperty.call(message, "aFloat") && !$Object.is(message.aFloat, 0))
                writer.uint32(/* id 11, wireType 5 =*/93).float(message.aFloat);
            if (message.aDouble != null && $Object.hasOwnProperty.call(message, "aDouble") && !$Object.is(message.aDouble, 0))
                writer.uint32(/* id 12, wireType 1 =*/97).double(message.aDouble);
            if (message.aBool != null && $Object.hasOwnProperty.call(message, "aBool") && message.aBool !== false)
                writer.uint32(/* id 13, wireType 0 =*/104).bool(message.aBool);
            if (message.aString != null && $Object.hasOwnProperty.call(message, "aString") && message.aString !== "")
                writer.uint32(/* id 14, wireType 2 =*/114).string(message.aString);
            if (message.aBytes != null && $Object.hasOwnProperty.call(message, "aBytes") && message.aBytes.length)
                writer.uint32(/* id 15, wireType 2 =*/122).bytes(message.aBytes);
            if (message.state != null && $Object.hasOwnProperty.call(message, "state") && message.state !== 0)
                writer.uint32(/* id 16, wireType 0 =*/128).int32(message.state);
            if (message.place != null && $Object.hasOwnProperty.call(message, "place"))
                $root.every.Place.encode(message.place, writer.uint32(/* id 17, wireType 2 =*/138).fork(), _depth + 1).ldelim();
            if (message.maybe != null && $Object.hasOwnProperty.call(message, "maybe"))
                writer.uint32(/* id 18, wireType 0 =*/144).int32(message.maybe);
            if (message.numbers != null && message.numbers.length)
                writer.uint32(/* id 19, wireType 2 =*/154).int32s(message.numbers);
            if (message.labels != null && message.labels.length)
                for (let i = 0; i < message.labels.length; ++i)
                    writer.uint32(/* id 20, wireType 2 =*/162).string(message.labels[i]);
            if (message.samples != null && message.samples.length)
                writer.uint32(/* id 21, wireType 2 =*/170).doubles(message.samples);
            if (message.places != null && message.places.length)
                for (let i = 0; i < message.places.length; ++i)
                    $root.every.Place.encode(message.places[i], writer.uint32(/* id 22, wireType 2 =*/178).fork(), _depth + 1).ldelim();
            if (message.states != null && message.states.length)
                writer.uint32(/* id 23, wireType 2 =*/186).int32s(message.states);
            if (message.blobs != null && message.blobs.length)
                for (let i = 0; i < message.blobs.length; ++i)
                    writer.uint32(/* id 24, wireType 2 =*/194).bytes(message.blobs[i]);
            if (message.tags != null && $Object.hasOwnProperty.call(message, "tags"))
                for (let keys = $Object.keys(message.tags), i = 0; i < keys.length; ++i)
                    writer.uint32(/* id 25, wireType 2 =*/202).fork().uint32(/* id 1, wireType 2 =*/10).string(keys[i]).uint32(/* id 2, wireType 2 =*/18).string(message.tags[keys[i]]).ldelim();
            if (message.counts != null && $Object.hasOwnProperty.call(message, "counts"))
                for (let keys = $Object.keys(message.counts), i = 0; i < keys.length; ++i)
                    writer.uint32(/* id 26, wireType 2 =*/210).fork().uint32(/* id 1, wireType 0 =*/8).int32(keys[i]).uint32(/* id 2, wireType 0 =*/16).uint32(message.counts[keys[i]]).ldelim();
            if (message.rooms != null && $Object.hasOwnProperty.call(message, "rooms"))
                for (let keys = $Object.keys(message.rooms), i = 0; i < keys.length; ++i) {
                    writer.uint32(/* id 27, wireType 2 =*/218).fork().uint32(/* id 1, wireType 2 =*/10).string(keys[i]);
                    $root.every.Place.encode(message.rooms[keys[i]], writer.uint32(/* id 2, wireType 2 =*/18).fork(), _depth + 1).ldelim().ldelim();
                }
            if (message.text != null && $Object.hasOwnProperty.call(message, "text"))
                writer.uint32(/* id 28, wireType 2 =*/226).string(message.text);
            if (message.number != null && $Object.hasOwnProperty.call(message, "number"))
                writer.uint32(/* id 29, wireType 0 =*/232).uint32(message.number);
            if (message.elsewhere != null && $Object.hasOwnProperty.call(message, "elsewhere"))
                $root.every.Place.encode(message.elsewhere, writer.uint32(/* id 30, wireType 2 =*/242).fork(), _depth + 1).ldelim();
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        /**
         * Encodes the specified Machine message, length delimited. Does not implicitly {@link every.Machine.verify|verify} messages.
         * @function encodeDelimited
         * @memberof every.Machine
         * @static
         * @param {every.Machine.$Properties} message Machine message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Machine.encodeDelimited = function(message, writer) {
            return this.encode(message, (writer || $Writer.create()).fork()).ldelim();
        };

        /**
         * Decodes a Machine message from the specified reader or buffer.
         * @function decode
         * @memberof every.Machine
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @param {number} [length] Message length if known beforehand
         * @returns {every.Machine & every.Machine.$Shape} Machine
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Machine.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, key, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.every.Machine();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.int32())
                            message.aInt32 = value;
                        else
                            delete message.aInt32;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                            message.aInt64 = value;
                        else
                            delete message.aInt64;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.aUint32 = value;
                        else
                            delete message.aUint32;
                        continue;
                    }
                case 4: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.aUint64 = value;
                        else
                            delete message.aUint64;
                        continue;
                    }
                case 5: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.sint32())
                            message.aSint32 = value;
                        else
                            delete message.aSint32;
                        continue;
                    }
                case 6: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.sint64()) === "object" ? value.low || value.high : value !== 0)
                            message.aSint64 = value;
                        else
                            delete message.aSint64;
                        continue;
                    }
                case 7: {
                        if (wireType !== 5)
                            break;
                        if (value = reader.fixed32())
                            message.aFixed32 = value;
                        else
                            delete message.aFixed32;
                        continue;
                    }
                case 8: {
                        if (wireType !== 1)
                            break;
                        if (typeof (value = reader.fixed64()) === "object" ? value.low || value.high : value !== 0)
                            message.aFixed64 = value;
                        else
                            delete message.aFixed64;
                        continue;
                    }
                case 9: {
                        if (wireType !== 5)
                            break;
                        if (value = reader.sfixed32())
                            message.aSfixed32 = value;
                        else
                            delete message.aSfixed32;
                        continue;
                    }
                case 10: {
                        if (wireType !== 1)
                            break;
                        if (typeof (value = reader.sfixed64()) === "object" ? value.low || value.high : value !== 0)
                            message.aSfixed64 = value;
                        else
                            delete message.aSfixed64;
                        continue;
                    }
                case 11: {
                        if (wireType !== 5)
                            break;
                        if (!$Object.is(value = reader.float(), 0))
                            message.aFloat = value;
                        else
                            delete message.aFloat;
                        continue;
                    }
                case 12: {
                        if (wireType !== 1)
                            break;
                        if (!$Object.is(value = reader.double(), 0))
                            message.aDouble = value;
                        else
                            delete message.aDouble;
                        continue;
                    }
                case 13: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.bool())
                            message.aBool = value;
                        else
                            delete message.aBool;
                        continue;
                    }
                case 14: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.aString = value;
                        else
                            delete message.aString;
                        continue;
                    }
                case 15: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.aBytes = value;
                        else
                            delete message.aBytes;
                        continue;
                    }
                case 16: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.int32())
                            message.state = value;
                        else
                            delete message.state;
                        continue;
                    }
                case 17: {
                        if (wireType !== 2)
                            break;
                        message.place = $root.every.Place.decode(reader, reader.size(), $undefined, _depth + 1, message.place);
                        continue;
                    }
                case 18: {
                        if (wireType !== 0)
                            break;
                        message.maybe = reader.int32();
                        message._maybe = "maybe";
                        continue;
                    }
                case 19: {
                        if (wireType === 2) {
                            if (!(message.numbers && message.numbers.length))
                                message.numbers = [];
                            reader.int32s(message.numbers);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.numbers && message.numbers.length))
                            message.numbers = [];
                        message.numbers.push(reader.int32());
                        continue;
                    }
                case 20: {
                        if (wireType !== 2)
                            break;
                        if (!(message.labels && message.labels.length))
                            message.labels = [];
                        message.labels.push(reader.stringVerify());
                        continue;
                    }
                case 21: {
                        if (wireType === 2) {
                            if (!(message.samples && message.samples.length))
                                message.samples = [];
                            reader.doubles(message.samples);
                            continue;
                        }
                        if (wireType !== 1)
                            break;
                        if (!(message.samples && message.samples.length))
                            message.samples = [];
                        message.samples.push(reader.double());
                        continue;
                    }
                case 22: {
                        if (wireType !== 2)
                            break;
                        if (!(message.places && message.places.length))
                            message.places = [];
                        message.places.push($root.every.Place.decode(reader, reader.size(), $undefined, _depth + 1));
                        continue;
                    }
                case 23: {
                        if (wireType === 2) {
                            if (!(message.states && message.states.length))
                                message.states = [];
                            reader.int32s(message.states);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.states && message.states.length))
                            message.states = [];
                        message.states.push(reader.int32());
                        continue;
                    }
                case 24: {
                        if (wireType !== 2)
                            break;
                        if (!(message.blobs && message.blobs.length))
                            message.blobs = [];
                        message.blobs.push(reader.bytes());
                        continue;
                    }
                case 25: {
                        if (wireType !== 2)
                            break;
                        if (message.tags === $util.emptyObject)
                            message.tags = {};
                        let end2 = reader.size() + reader.pos;
                        if (end2 > reader.len)
                            throw $RangeError("index out of range");
                        reader.len = end2;
                        key = "";
                        value = "";
                        while (reader.pos < end2) {
                            let tag2 = reader.tag();
                            wireType = tag2 & 7;
                            switch (tag2 >>>= 3) {
                            case 1:
                                if (wireType !== 2)
                                    break;
                                key = reader.stringVerify();
                                continue;
                            case 2:
                                if (wireType !== 2)
                                    break;
                                value = reader.stringVerify();
                                continue;
                            }
                            reader.skipType(wireType, _depth, tag2);
                        }
                        if (reader.pos !== end2)
                            throw $RangeError("index out of range");
                        reader.len = end;
                        if (key === "__proto__")
                            $util.makeProp(message.tags, key);
                        message.tags[key] = value;
                        continue;
                    }
                case 26: {
                        if (wireType !== 2)
                            break;
                        if (message.counts === $util.emptyObject)
                            message.counts = {};
                        let end2 = reader.size() + reader.pos;
                        if (end2 > reader.len)
                            throw $RangeError("index out of range");
                        reader.len = end2;
                        key = 0;
                        value = 0;
                        while (reader.pos < end2) {
                            let tag2 = reader.tag();
                            wireType = tag2 & 7;
                            switch (tag2 >>>= 3) {
                            case 1:
                                if (wireType !== 0)
                                    break;
                                key = reader.int32();
                                continue;
                            case 2:
                                if (wireType !== 0)
                                    break;
                                value = reader.uint32();
                                continue;
                            }
                            reader.skipType(wireType, _depth, tag2);
                        }
                        if (reader.pos !== end2)
                            throw $RangeError("index out of range");
                        reader.len = end;
                        message.counts[key] = value;
                        continue;
                    }
                case 27: {
                        if (wireType !== 2)
                            break;
                        if (message.rooms === $util.emptyObject)
                            message.rooms = {};
                        let end2 = reader.size() + reader.pos;
                        if (end2 > reader.len)
                            throw $RangeError("index out of range");
                        reader.len = end2;
                        key = "";
                        value = null;
                        while (reader.pos < end2) {
                            let tag2 = reader.tag();
                            wireType = tag2 & 7;
                            switch (tag2 >>>= 3) {
                            case 1:
                                if (wireType !== 2)
                                    break;
                                key = reader.stringVerify();
                                continue;
                            case 2:
                                if (wireType !== 2)
                                    break;
                                value = $root.every.Place.decode(reader, reader.size(), $undefined, _depth + 1, value);
                                continue;
                            }
                            reader.skipType(wireType, _depth, tag2);
                        }
                        if (reader.pos !== end2)
                            throw $RangeError("index out of range");
                        reader.len = end;
                        if (key === "__proto__")
                            $util.makeProp(message.rooms, key);
                        message.rooms[key] = value || new $root.every.Place();
                        continue;
                    }
                case 28: {
                        if (wireType !== 2)
                            break;
                        message.text = reader.stringVerify();
                        message.choice = "text";
                        continue;
                    }
                case 29: {
                        if (wireType !== 0)
                            break;
                        message.number = reader.uint32();
                        message.choice = "number";
                        continue;
                    }
                case 30: {
                        if (wireType !== 2)
                            break;
                        message.elsewhere = $root.every.Place.decode(reader, reader.size(), $undefined, _depth + 1, message.elsewhere);
                        message.choice = "elsewhere";
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        /**
         * Decodes a Machine message from the specified reader or buffer, length delimited.
         * @function decodeDelimited
         * @memberof every.Machine
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @returns {every.Machine & every.Machine.$Shape} Machine
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Machine.decodeDelimited = function(reader) {
            if (!(reader instanceof $Reader))
                reader = new $Reader(reader);
            return this.decode(reader, reader.size());
        };

        /**
         * Verifies a Machine message.
         * @function verify
         * @memberof every.Machine
         * @static
         * @param {Object.<string,*>} message Plain object to verify
         * @returns {string|null} `null` if valid, otherwise the reason why it is not
         */
        Machine.verify = function (message, _depth) {
            if (typeof message !== "object" || message === null)
                return "object expected";
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                return "max depth exceeded";
            let properties = {};
            if (message.aInt32 != null && $Object.hasOwnProperty.call(message, "aInt32"))
                if (!$util.isInteger(message.aInt32))
                    return "aInt32: integer expected";
            if (message.aInt64 != null && $Object.hasOwnProperty.call(message, "aInt64"))
                if (!$util.isInteger(message.aInt64) && !(message.aInt64 && $util.isInteger(message.aInt64.low) && $util.isInteger(message.aInt64.high)))
                    return "aInt64: integer|Long expected";
            if (message.aUint32 != null && $Object.hasOwnProperty.call(message, "aUint32"))
                if (!$util.isInteger(message.aUint32))
                    return "aUint32: integer expected";
            if (message.aUint64 != null && $Object.hasOwnProperty.call(message, "aUint64"))
                if (!$util.isInteger(message.aUint64) && !(message.aUint64 && $util.isInteger(message.aUint64.low) && $util.isInteger(message.aUint64.high)))
                    return "aUint64: integer|Long expected";
            if (message.aSint32 != null && $Object.hasOwnProperty.call(message, "aSint32"))
                if (!$util.isInteger(message.aSint32))
                    return "aSint32: integer expected";
            if (message.aSint64 != null && $Object.hasOwnProperty.call(message, "aSint64"))
                if (!$util.isInteger(message.aSint64) && !(message.aSint64 && $util.isInteger(message.aSint64.low) && $util.isInteger(message.aSint64.high)))
                    return "aSint64: integer|Long expected";
            if (message.aFixed32 != null && $Object.hasOwnProperty.call(message, "aFixed32"))
                if (!$util.isInteger(message.aFixed32))
                    return "aFixed32: integer expected";
            if (message.aFixed64 != null && $Object.hasOwnProperty.call(message, "aFixed64"))
                if (!$util.isInteger(message.aFixed64) && !(message.aFixed64 && $util.isInteger(message.aFixed64.low) && $util.isInteger(message.aFixed64.high)))
                    return "aFixed64: integer|Long expected";
            if (message.aSfixed32 != null && $Object.hasOwnProperty.call(message, "aSfixed32"))
                if (!$util.isInteger(message.aSfixed32))
                    return "aSfixed32: integer expected";
            if (message.aSfixed64 != null && $Object.hasOwnProperty.call(message, "aSfixed64"))
                if (!$util.isInteger(message.aSfixed64) && !(message.aSfixed64 && $util.isInteger(message.aSfixed64.low) && $util.isInteger(message.aSfixed64.high)))
                    return "aSfixed64: integer|Long expected";
            if (message.aFloat != null && $Object.hasOwnProperty.call(message, "aFloat"))
                if (typeof message.aFloat !== "number")
                    return "aFloat: number expected";
            if (message.aDouble != null && $Object.hasOwnProperty.call(message, "aDouble"))
                if (typeof message.aDouble !== "number")
                    return "aDouble: number expected";
            if (message.aBool != null && $Object.hasOwnProperty.call(message, "aBool"))
                if (typeof message.aBool !== "boolean")
                    return "aBool: boolean expected";
            if (message.aString != null && $Object.hasOwnProperty.call(message, "aString"))
                if (!$util.isString(message.aString))
                    return "aString: string expected";
            if (message.aBytes != null && $Object.hasOwnProperty.call(message, "aBytes"))
                if (!(message.aBytes && typeof message.aBytes.length === "number" || $util.isString(message.aBytes)))
                    return "aBytes: buffer expected";
            if (message.state != null && $Object.hasOwnProperty.call(message, "state"))
                if (typeof message.state !== "number" || (message.state | 0) !== message.state)
                    return "state: enum value expected";
            if (message.place != null && $Object.hasOwnProperty.call(message, "place")) {
                let error = $root.every.Place.verify(message.place, _depth + 1);
                if (error)
                    return "place." + error;
            }
            if (message.maybe != null && $Object.hasOwnProperty.call(message, "maybe")) {
                properties._maybe = 1;
                if (!$util.isInteger(message.maybe))
                    return "maybe: integer expected";
            }
            if (message.numbers != null && $Object.hasOwnProperty.call(message, "numbers")) {
                if (!$Array.isArray(message.numbers))
                    return "numbers: array expected";
                for (let i = 0; i < message.numbers.length; ++i)
                    if (!$util.isInteger(message.numbers[i]))
                        return "numbers: integer[] expected";
            }
            if (message.labels != null && $Object.hasOwnProperty.call(message, "labels")) {
                if (!$Array.isArray(message.labels))
                    return "labels: array expected";
                for (let i = 0; i < message.labels.length; ++i)
                    if (!$util.isString(message.labels[i]))
                        return "labels: string[] expected";
            }
            if (message.samples != null && $Object.hasOwnProperty.call(message, "samples")) {
                if (!$Array.isArray(message.samples))
                    return "samples: array expected";
                for (let i = 0; i < message.samples.length; ++i)
                    if (typeof message.samples[i] !== "number")
                        return "samples: number[] expected";
            }
            if (message.places != null && $Object.hasOwnProperty.call(message, "places")) {
                if (!$Array.isArray(message.places))
                    return "places: array expected";
                for (let i = 0; i < message.places.length; ++i) {
                    let error = $root.every.Place.verify(message.places[i], _depth + 1);
                    if (error)
                        return "places." + error;
                }
            }
            if (message.states != null && $Object.hasOwnProperty.call(message, "states")) {
                if (!$Array.isArray(message.states))
                    return "states: array expected";
                for (let i = 0; i < message.states.length; ++i)
                    if (typeof message.states[i] !== "number" || (message.states[i] | 0) !== message.states[i])
                        return "states: enum value[] expected";
            }
            if (message.blobs != null && $Object.hasOwnProperty.call(message, "blobs")) {
                if (!$Array.isArray(message.blobs))
                    return "blobs: array expected";
                for (let i = 0; i < message.blobs.length; ++i)
                    if (!(message.blobs[i] && typeof message.blobs[i].length === "number" || $util.isString(message.blobs[i])))
                        return "blobs: buffer[] expected";
            }
            if (message.tags != null && $Object.hasOwnProperty.call(message, "tags")) {
                if (!$util.isObject(message.tags))
                    return "tags: object expected";
                let key = $Object.keys(message.tags);
                for (let i = 0; i < key.length; ++i)
                    if (!$util.isString(message.tags[key[i]]))
                        return "tags: string{k:string} expected";
            }
            if (message.counts != null && $Object.hasOwnProperty.call(message, "counts")) {
                if (!$util.isObject(message.counts))
                    return "counts: object expected";
                let key = $Object.keys(message.counts);
                for (let i = 0; i < key.length; ++i) {
                    if (!$util.key32Re.test(key[i]))
                        return "counts: integer key{k:int32} expected";
                    if (!$util.isInteger(message.counts[key[i]]))
                        return "counts: integer{k:int32} expected";
                }
            }
            if (message.rooms != null && $Object.hasOwnProperty.call(message, "rooms")) {
                if (!$util.isObject(message.rooms))
                    return "rooms: object expected";
                let key = $Object.keys(message.rooms);
                for (let i = 0; i < key.length; ++i) {
                    let error = $root.every.Place.verify(message.rooms[key[i]], _depth + 1);
                    if (error)
                        return "rooms." + error;
                }
            }
            if (message.text != null && $Object.hasOwnProperty.call(message, "text")) {
                properties.choice = 1;
                if (!$util.isString(message.text))
                    return "text: string expected";
            }
            if (message.number != null && $Object.hasOwnProperty.call(message, "number")) {
                if (properties.choice === 1)
                    return "choice: multiple values";
                properties.choice = 1;
                if (!$util.isInteger(message.number))
                    return "number: integer expected";
            }
            if (message.elsewhere != null && $Object.hasOwnProperty.call(message, "elsewhere")) {
                if (properties.choice === 1)
                    return "choice: multiple values";
                properties.choice = 1;
                {
                    let error = $root.every.Place.verify(message.elsewhere, _depth + 1);
                    if (error)
                        return "elsewhere." + error;
                }
            }
            return null;
        };

        /**
         * Creates a Machine message from a plain object. Also converts values to their respective internal types.
         * @function fromObject
         * @memberof every.Machine
         * @static
         * @param {Object.<string,*>} object Plain object
         * @returns {every.Machine} Machine
         */
        Machine.fromObject = function (object, _depth) {
            if (object instanceof $root.every.Machine)
                return object;
            if (!$util.isObject(object))
                throw $TypeError(".every.Machine: object expected");
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let message = new $root.every.Machine();
            if (object.aInt32 != null)
                if ($Number(object.aInt32) !== 0)
                    message.aInt32 = object.aInt32 | 0;
            if (object.aInt64 != null)
                if (typeof object.aInt64 === "object" ? object.aInt64.low || object.aInt64.high : $Number(object.aInt64) !== 0)
                    if ($util.Long)
                        message.aInt64 = $util.Long.fromValue(object.aInt64, false);
                    else if (typeof object.aInt64 === "string")
                        message.aInt64 = $parseInt(object.aInt64, 10);
                    else if (typeof object.aInt64 === "number")
                        message.aInt64 = object.aInt64;
                    else if (typeof object.aInt64 === "object")
                        message.aInt64 = new $util.LongBits(object.aInt64.low >>> 0, object.aInt64.high >>> 0).toNumber();
            if (object.aUint32 != null)
                if ($Number(object.aUint32) !== 0)
                    message.aUint32 = object.aUint32 >>> 0;
            if (object.aUint64 != null)
                if (typeof object.aUint64 === "object" ? object.aUint64.low || object.aUint64.high : $Number(object.aUint64) !== 0)
                    if ($util.Long)
                        message.aUint64 = $util.Long.fromValue(object.aUint64, true);
                    else if (typeof object.aUint64 === "string")
                        message.aUint64 = $parseInt(object.aUint64, 10);
                    else if (typeof object.aUint64 === "number")
                        message.aUint64 = object.aUint64;
                    else if (typeof object.aUint64 === "object")
                        message.aUint64 = new $util.LongBits(object.aUint64.low >>> 0, object.aUint64.high >>> 0).toNumber(true);
            if (object.aSint32 != null)
                if ($Number(object.aSint32) !== 0)
                    message.aSint32 = object.aSint32 | 0;
            if (object.aSint64 != null)
                if (typeof object.aSint64 === "object" ? object.aSint64.low || object.aSint64.high : $Number(object.aSint64) !== 0)
                    if ($util.Long)
                        message.aSint64 = $util.Long.fromValue(object.aSint64, false);
                    else if (typeof object.aSint64 === "string")
                        message.aSint64 = $parseInt(object.aSint64, 10);
                    else if (typeof object.aSint64 === "number")
                        message.aSint64 = object.aSint64;
                    else if (typeof object.aSint64 === "object")
                        message.aSint64 = new $util.LongBits(object.aSint64.low >>> 0, object.aSint64.high >>> 0).toNumber();
            if (object.aFixed32 != null)
                if ($Number(object.aFixed32) !== 0)
                    message.aFixed32 = object.aFixed32 >>> 0;
            if (object.aFixed64 != null)
                if (typeof object.aFixed64 === "object" ? object.aFixed64.low || object.aFixed64.high : $Number(object.aFixed64) !== 0)
                    if ($util.Long)
                        message.aFixed64 = $util.Long.fromValue(object.aFixed64, true);
                    else if (typeof object.aFixed64 === "string")
                        message.aFixed64 = $parseInt(object.aFixed64, 10);
                    else if (typeof object.aFixed64 === "number")
                        message.aFixed64 = object.aFixed64;
                    else if (typeof object.aFixed64 === "object")
                        message.aFixed64 = new $util.LongBits(object.aFixed64.low >>> 0, object.aFixed64.high >>> 0).toNumber(true);
            if (object.aSfixed32 != null)
                if ($Number(object.aSfixed32) !== 0)
                    message.aSfixed32 = object.aSfixed32 | 0;
            if (object.aSfixed64 != null)
                if (typeof object.aSfixed64 === "object" ? object.aSfixed64.low || object.aSfixed64.high : $Number(object.aSfixed64) !== 0)
                    if ($util.Long)
                        message.aSfixed64 = $util.Long.fromValue(object.aSfixed64, false);
                    else if (typeof object.aSfixed64 === "string")
                        message.aSfixed64 = $parseInt(object.aSfixed64, 10);
                    else if (typeof object.aSfixed64 === "number")
                        message.aSfixed64 = object.aSfixed64;
                    else if (typeof object.aSfixed64 === "object")
                        message.aSfixed64 = new $util.LongBits(object.aSfixed64.low >>> 0, object.aSfixed64.high >>> 0).toNumber();
            if (object.aFloat != null)
                if (!$Object.is($Number(object.aFloat), 0))
                    message.aFloat = $Number(object.aFloat);
            if (object.aDouble != null)
                if (!$Object.is($Number(object.aDouble), 0))
                    message.aDouble = $Number(object.aDouble);
            if (object.aBool != null)
                if (object.aBool)
                    message.aBool = $Boolean(object.aBool);
            if (object.aString != null)
                if (typeof object.aString !== "string" || object.aString.length)
                    message.aString = $String(object.aString);
            if (object.aBytes != null)
                if (object.aBytes.length)
                    if (typeof object.aBytes === "string")
                        $util.base64.decode(object.aBytes, message.aBytes = $util.newBuffer($util.base64.length(object.aBytes)), 0);
                    else if (object.aBytes.length >= 0)
                        message.aBytes = object.aBytes;
            if (object.state !== 0 && (typeof object.state !== "string" || $root.every.State[object.state] !== 0))
                switch (object.state) {
                case "STATE_UNSPECIFIED":
                case 0:
                    message.state = 0;
                    break;
                case "STATE_UP":
                case 1:
                    message.state = 1;
                    break;
                case "STATE_DOWN":
                case 2:
                    message.state = 2;
                    break;
                default:
                    if (typeof object.state === "number" && (object.state | 0) === object.state)
                        message.state = object.state;
                }
            if (object.place != null) {
                if (!$util.isObject(object.place))
                    throw $TypeError(".every.Machine.place: object expected");
                message.place = $root.every.Place.fromObject(object.place, _depth + 1);
            }
            if (object.maybe != null)
                message.maybe = object.maybe | 0;
            if (object.numbers) {
                if (!$Array.isArray(object.numbers))
                    throw $TypeError(".every.Machine.numbers: array expected");
                message.numbers = $Array(object.numbers.length);
                for (let i = 0; i < object.numbers.length; ++i)
                    message.numbers[i] = object.numbers[i] | 0;
            }
            if (object.labels) {
                if (!$Array.isArray(object.labels))
                    throw $TypeError(".every.Machine.labels: array expected");
                message.labels = $Array(object.labels.length);
                for (let i = 0; i < object.labels.length; ++i)
                    message.labels[i] = $String(object.labels[i]);
            }
            if (object.samples) {
                if (!$Array.isArray(object.samples))
                    throw $TypeError(".every.Machine.samples: array expected");
                message.samples = $Array(object.samples.length);
                for (let i = 0; i < object.samples.length; ++i)
                    message.samples[i] = $Number(object.samples[i]);
            }
            if (object.places) {
                if (!$Array.isArray(object.places))
                    throw $TypeError(".every.Machine.places: array expected");
                message.places = $Array(object.places.length);
                for (let i = 0; i < object.places.length; ++i) {
                    if (!$util.isObject(object.places[i]))
                        throw $TypeError(".every.Machine.places: object expected");
                    message.places[i] = $root.every.Place.fromObject(object.places[i], _depth + 1);
                }
            }
            if (object.states) {
                if (!$Array.isArray(object.states))
                    throw $TypeError(".every.Machine.states: array expected");
                message.states = [];
                for (let i = 0; i < object.states.length; ++i)
                    switch (object.states[i]) {
                    case "STATE_UNSPECIFIED":
                    case 0:
                        message.states[message.states.length] = 0;
                        break;
                    case "STATE_UP":
                    case 1:
                        message.states[message.states.length] = 1;
                        break;
                    case "STATE_DOWN":
                    case 2:
                        message.states[message.states.length] = 2;
                        break;
                    default:
                        if (typeof object.states[i] === "number" && (object.states[i] | 0) === object.states[i])
                            message.states[message.states.length] = object.states[i];
                    }
            }
            if (object.blobs) {
                if (!$Array.isArray(object.blobs))
                    throw $TypeError(".every.Machine.blobs: array expected");
                message.blobs = $Array(object.blobs.length);
                for (let i = 0; i < object.blobs.length; ++i)
                    if (typeof object.blobs[i] === "string")
                        $util.base64.decode(object.blobs[i], message.blobs[i] = $util.newBuffer($util.base64.length(object.blobs[i])), 0);
                    else if (object.blobs[i].length >= 0)
                        message.blobs[i] = object.blobs[i];
            }
            if (object.tags) {
                if (!$util.isObject(object.tags))
                    throw $TypeError(".every.Machine.tags: object expected");
                message.tags = {};
                for (let keys = $Object.keys(object.tags), i = 0; i < keys.length; ++i) {
                    if (keys[i] === "__proto__")
                        $util.makeProp(message.tags, keys[i]);
                    message.tags[keys[i]] = $String(object.tags[keys[i]]);
                }
            }
            if (object.counts) {
                if (!$util.isObject(object.counts))
                    throw $TypeError(".every.Machine.counts: object expected");
                message.counts = {};
                for (let keys = $Object.keys(object.counts), i = 0; i < keys.length; ++i) {
                    if (keys[i] === "__proto__")
                        $util.makeProp(message.counts, keys[i]);
                    message.counts[keys[i]] = object.counts[keys[i]] >>> 0;
                }
            }
            if (object.rooms) {
                if (!$util.isObject(object.rooms))
                    throw $TypeError(".every.Machine.rooms: object expected");
                message.rooms = {};
                for (let keys = $Object.keys(object.rooms), i = 0; i < keys.length; ++i) {
                    if (keys[i] === "__proto__")
                        $util.makeProp(message.rooms, keys[i]);
                    if (!$util.isObject(object.rooms[keys[i]]))
                        throw $TypeError(".every.Machine.rooms: object expected");
                    message.rooms[keys[i]] = $root.every.Place.fromObject(object.rooms[keys[i]], _depth + 1);
                }
            }
            if (object.text != null)
                message.text = $String(object.text);
            if (object.number != null)
                message.number = object.number >>> 0;
            if (object.elsewhere != null) {
                if (!$util.isObject(object.elsewhere))
                    throw $TypeError(".every.Machine.elsewhere: object expected");
                message.elsewhere = $root.every.Place.fromObject(object.elsewhere, _depth + 1);
            }
            return message;
        };

        /**
         * Creates a plain object from a Machine message. Also converts values to other types if specified.
         * @function toObject
         * @memberof every.Machine
         * @static
         * @param {every.Machine} message Machine
         * @param {$protobuf.IConversionOptions} [options] Conversion options
         * @returns {Object.<string,*>} Plain object
         */
        Machine.toObject = function (message, options, _depth) {
            if (!options)
                options = {};
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let object = {};
            if (options.arrays || options.defaults) {
                object.numbers = [];
                object.labels = [];
                object.samples = [];
                object.places = [];
                object.states = [];
                object.blobs = [];
            }
            if (options.objects || options.defaults) {
                object.tags = {};
                object.counts = {};
                object.rooms = {};
            }
            if (options.defaults) {
                object.aInt32 = 0;
                if ($util.Long) {
                    let long = new $util.Long(0, 0, false);
                    object.aInt64 = options.longs === $String ? long.toString() : options.longs === $Number ? long.toNumber() : typeof $BigInt !== "undefined" && options.longs === $BigInt ? long.toBigInt() : long;
                } else
                    object.aInt64 = options.longs === $String ? "0" : typeof $BigInt !== "undefined" && options.longs === $BigInt ? $BigInt("0") : 0;
                object.aUint32 = 0;
                if ($util.Long) {
                    let long = new $util.Long(0, 0, true);
                    object.aUint64 = options.longs === $String ? long.toString() : options.longs === $Number ? long.toNumber() : typeof $BigInt !== "undefined" && options.longs === $BigInt ? long.toBigInt() : long;
                } else
                    object.aUint64 = options.longs === $String ? "0" : typeof $BigInt !== "undefined" && options.longs === $BigInt ? $BigInt("0") : 0;
                object.aSint32 = 0;
                if ($util.Long) {
                    let long = new $util.Long(0, 0, false);
                    object.aSint64 = options.longs === $String ? long.toString() : options.longs === $Number ? long.toNumber() : typeof $BigInt !== "undefined" && options.longs === $BigInt ? long.toBigInt() : long;
                } else
                    object.aSint64 = options.longs === $String ? "0" : typeof $BigInt !== "undefined" && options.longs === $BigInt ? $BigInt("0") : 0;
                object.aFixed32 = 0;
                if ($util.Long) {
                    let long = new $util.Long(0, 0, true);
                    object.aFixed64 = options.longs === $String ? long.toString() : options.longs === $Number ? long.toNumber() : typeof $BigInt !== "undefined" && options.longs === $BigInt ? long.toBigInt() : long;
                } else
                    object.aFixed64 = options.longs === $String ? "0" : typeof $BigInt !== "undefined" && options.longs === $BigInt ? $BigInt("0") : 0;
                object.aSfixed32 = 0;
                if ($util.Long) {
                    let long = new $util.Long(0, 0, false);
                    object.aSfixed64 = options.longs === $String ? long.toString() : options.longs === $Number ? long.toNumber() : typeof $BigInt !== "undefined" && options.longs === $BigInt ? long.toBigInt() : long;
                } else
                    object.aSfixed64 = options.longs === $String ? "0" : typeof $BigInt !== "undefined" && options.longs === $BigInt ? $BigInt("0") : 0;
                object.aFloat = 0;
                object.aDouble = 0;
                object.aBool = false;
                object.aString = "";
                if (options.bytes === $String)
                    object.aBytes = "";
                else {
                    object.aBytes = [];
                    if (options.bytes !== $Array)
                        object.aBytes = $util.newBuffer(object.aBytes);
                }
                object.state = options.enums === $String ? "STATE_UNSPECIFIED" : 0;
                object.place = null;
            }
            if (message.aInt32 != null && $Object.hasOwnProperty.call(message, "aInt32"))
                object.aInt32 = message.aInt32;
            if (message.aInt64 != null && $Object.hasOwnProperty.call(message, "aInt64"))
                if (typeof $BigInt !== "undefined" && options.longs === $BigInt)
                    object.aInt64 = typeof message.aInt64 === "number" ? $BigInt(message.aInt64) : $util.Long.fromBits(message.aInt64.low >>> 0, message.aInt64.high >>> 0, false).toBigInt();
                else if (typeof message.aInt64 === "number")
                    object.aInt64 = options.longs === $String ? $String(message.aInt64) : message.aInt64;
                else
                    object.aInt64 = options.longs === $String ? $util.Long.prototype.toString.call(message.aInt64) : options.longs === $Number ? new $util.LongBits(message.aInt64.low >>> 0, message.aInt64.high >>> 0).toNumber() : message.aInt64;
            if (message.aUint32 != null && $Object.hasOwnProperty.call(message, "aUint32"))
                object.aUint32 = message.aUint32;
            if (message.aUint64 != null && $Object.hasOwnProperty.call(message, "aUint64"))
                if (typeof $BigInt !== "undefined" && options.longs === $BigInt)
                    object.aUint64 = typeof message.aUint64 === "number" ? $BigInt(message.aUint64) : $util.Long.fromBits(message.aUint64.low >>> 0, message.aUint64.high >>> 0, true).toBigInt();
                else if (typeof message.aUint64 === "number")
                    object.aUint64 = options.longs === $String ? $String(message.aUint64) : message.aUint64;
                else
                    object.aUint64 = options.longs === $String ? $util.Long.prototype.toString.call(message.aUint64) : options.longs === $Number ? new $util.LongBits(message.aUint64.low >>> 0, message.aUint64.high >>> 0).toNumber(true) : message.aUint64;
            if (message.aSint32 != null && $Object.hasOwnProperty.call(message, "aSint32"))
                object.aSint32 = message.aSint32;
            if (message.aSint64 != null && $Object.hasOwnProperty.call(message, "aSint64"))
                if (typeof $BigInt !== "undefined" && options.longs === $BigInt)
                    object.aSint64 = typeof message.aSint64 === "number" ? $BigInt(message.aSint64) : $util.Long.fromBits(message.aSint64.low >>> 0, message.aSint64.high >>> 0, false).toBigInt();
                else if (typeof message.aSint64 === "number")
                    object.aSint64 = options.longs === $String ? $String(message.aSint64) : message.aSint64;
                else
                    object.aSint64 = options.longs === $String ? $util.Long.prototype.toString.call(message.aSint64) : options.longs === $Number ? new $util.LongBits(message.aSint64.low >>> 0, message.aSint64.high >>> 0).toNumber() : message.aSint64;
            if (message.aFixed32 != null && $Object.hasOwnProperty.call(message, "aFixed32"))
                object.aFixed32 = message.aFixed32;
            if (message.aFixed64 != null && $Object.hasOwnProperty.call(message, "aFixed64"))
                if (typeof $BigInt !== "undefined" && options.longs === $BigInt)
                    object.aFixed64 = typeof message.aFixed64 === "number" ? $BigInt(message.aFixed64) : $util.Long.fromBits(message.aFixed64.low >>> 0, message.aFixed64.high >>> 0, true).toBigInt();
                else if (typeof message.aFixed64 === "number")
                    object.aFixed64 = options.longs === $String ? $String(message.aFixed64) : message.aFixed64;
                else
                    object.aFixed64 = options.longs === $String ? $util.Long.prototype.toString.call(message.aFixed64) : options.longs === $Number ? new $util.LongBits(message.aFixed64.low >>> 0, message.aFixed64.high >>> 0).toNumber(true) : message.aFixed64;
            if (message.aSfixed32 != null && $Object.hasOwnProperty.call(message, "aSfixed32"))
                object.aSfixed32 = message.aSfixed32;
            if (message.aSfixed64 != null && $Object.hasOwnProperty.call(message, "aSfixed64"))
                if (typeof $BigInt !== "undefined" && options.longs === $BigInt)
                    object.aSfixed64 = typeof message.aSfixed64 === "number" ? $BigInt(message.aSfixed64) : $util.Long.fromBits(message.aSfixed64.low >>> 0, message.aSfixed64.high >>> 0, false).toBigInt();
                else if (typeof message.aSfixed64 === "number")
                    object.aSfixed64 = options.longs === $String ? $String(message.aSfixed64) : message.aSfixed64;
                else
                    object.aSfixed64 = options.longs === $String ? $util.Long.prototype.toString.call(message.aSfixed64) : options.longs === $Number ? new $util.LongBits(message.aSfixed64.low >>> 0, message.aSfixed64.high >>> 0).toNumber() : message.aSfixed64;
            if (message.aFloat != null && $Object.hasOwnProperty.call(message, "aFloat"))
                object.aFloat = options.json && !$isFinite(message.aFloat) ? $String(message.aFloat) : message.aFloat;
            if (message.aDouble != null && $Object.hasOwnProperty.call(message, "aDouble"))
                object.aDouble = options.json && !$isFinite(message.aDouble) ? $String(message.aDouble) : message.aDouble;
            if (message.aBool != null && $Object.hasOwnProperty.call(message, "aBool"))
                object.aBool = message.aBool;
            if (message.aString != null && $Object.hasOwnProperty.call(message, "aString"))
                object.aString = message.aString;
            if (message.aBytes != null && $Object.hasOwnProperty.call(message, "aBytes"))
                object.aBytes = options.bytes === $String ? $util.base64.encode(message.aBytes, 0, message.aBytes.length) : options.bytes === $Array ? $Array.prototype.slice.call(message.aBytes) : message.aBytes;
            if (message.state != null && $Object.hasOwnProperty.call(message, "state"))
                object.state = options.enums === $String ? $root.every.State[message.state] === $undefined ? message.state : $root.every.State[message.state] : message.state;
            if (message.place != null && $Object.hasOwnProperty.call(message, "place"))
                object.place = $root.every.Place.toObject(message.place, options, _depth + 1);
            if (message.maybe != null && $Object.hasOwnProperty.call(message, "maybe"))
                object.maybe = message.maybe;
            if (message.numbers && message.numbers.length) {
                object.numbers = $Array(message.numbers.length);
                for (let j = 0; j < message.numbers.length; ++j)
                    object.numbers[j] = message.numbers[j];
            }
            if (message.labels && message.labels.length) {
                object.labels = $Array(message.labels.length);
                for (let j = 0; j < message.labels.length; ++j)
                    object.labels[j] = message.labels[j];
            }
            if (message.samples && message.samples.length) {
                object.samples = $Array(message.samples.length);
                for (let j = 0; j < message.samples.length; ++j)
                    object.samples[j] = options.json && !$isFinite(message.samples[j]) ? $String(message.samples[j]) : message.samples[j];
            }
            if (message.places && message.places.length) {
                object.places = $Array(message.places.length);
                for (let j = 0; j < message.places.length; ++j)
                    object.places[j] = $root.every.Place.toObject(message.places[j], options, _depth + 1);
            }
            if (message.states && message.states.length) {
                object.states = $Array(message.states.length);
                for (let j = 0; j < message.states.length; ++j)
                    object.states[j] = options.enums === $String ? $root.every.State[message.states[j]] === $undefined ? message.states[j] : $root.every.State[message.states[j]] : message.states[j];
            }
            if (message.blobs && message.blobs.length) {
                object.blobs = $Array(message.blobs.length);
                for (let j = 0; j < message.blobs.length; ++j)
                    object.blobs[j] = options.bytes === $String ? $util.base64.encode(message.blobs[j], 0, message.blobs[j].length) : options.bytes === $Array ? $Array.prototype.slice.call(message.blobs[j]) : message.blobs[j];
            }
            let keys2;
            if (message.tags && (keys2 = $Object.keys(message.tags)).length) {
                object.tags = {};
                for (let j = 0; j < keys2.length; ++j) {
                    if (keys2[j] === "__proto__")
                        $util.makeProp(object.tags, keys2[j]);
                    object.tags[keys2[j]] = message.tags[keys2[j]];
                }
            }
            if (message.counts && (keys2 = $Object.keys(message.counts)).length) {
                object.counts = {};
                for (let j = 0; j < keys2.length; ++j) {
                    if (keys2[j] === "__proto__")
                        $util.makeProp(object.counts, keys2[j]);
                    object.counts[keys2[j]] = message.counts[keys2[j]];
                }
            }
            if (message.rooms && (keys2 = $Object.keys(message.rooms)).length) {
                object.rooms = {};
                for (let j = 0; j < keys2.length; ++j) {
                    if (keys2[j] === "__proto__")
                        $util.makeProp(object.rooms, keys2[j]);
                    object.rooms[keys2[j]] = $root.every.Place.toObject(message.rooms[keys2[j]], options, _depth + 1);
                }
            }
            if (message.text != null && $Object.hasOwnProperty.call(message, "text")) {
                object.text = message.text;
                if (options.oneofs)
                    object.choice = "text";
            }
            if (message.number != null && $Object.hasOwnProperty.call(message, "number")) {
                object.number = message.number;
                if (options.oneofs)
                    object.choice = "number";
            }
            if (message.elsewhere != null && $Object.hasOwnProperty.call(message, "elsewhere")) {
                object.elsewhere = $root.every.Place.toObject(message.elsewhere, options, _depth + 1);
                if (options.oneofs)
                    object.choice = "elsewhere";
            }
            return object;
        };

        /**
         * Converts this Machine to JSON.
         * @function toJSON
         * @memberof every.Machine
         * @instance
         * @returns {Object.<string,*>} JSON object
         */
        Machine.prototype.toJSON = function() {
            return Machine.toObject(this, $protobuf.util.toJSONOptions);
        };

        /**
         * Gets the type url for Machine
         * @function getTypeUrl
         * @memberof every.Machine
         * @static
         * @param {string} [prefix] Custom type url prefix, defaults to `"type.googleapis.com"`
         * @returns {string} The type url
         */
        Machine.getTypeUrl = function(prefix) {
            if (prefix === $undefined)
                prefix = "type.googleapis.com";
            return prefix + "/every.Machine";
        };

        return Machine;
    })();

    every.Place = (function() {

        /**
         * Properties of a Place.
         * @typedef {Object} every.Place.$Properties
         * @property {string|null} [name] Place name
         * @property {number|null} [latitude] Place latitude
         * @property {number|null} [longitude] Place longitude
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */

        /**
         * Properties of a Place.
         * @memberof every
         * @interface IPlace
         * @augments every.Place.$Properties
         * @deprecated Use every.Place.$Properties instead.
         */

        /**
         * Shape of a Place.
         * @typedef {every.Place.$Properties} every.Place.$Shape
         */

        /**
         * Constructs a new Place.
         * @memberof every
         * @classdesc Represents a Place.
         * @constructor
         * @param {every.Place.$Properties=} [properties] Properties to set
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */
        const Place = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        /**
         * Place name.
         * @member {string} name
         * @memberof every.Place
         * @instance
         */
        Place.prototype.name = "";

        /**
         * Place latitude.
         * @member {number} latitude
         * @memberof every.Place
         * @instance
         */
        Place.prototype.latitude = 0;

        /**
         * Place longitude.
         * @member {number} longitude
         * @memberof every.Place
         * @instance
         */
        Place.prototype.longitude = 0;

        /**
         * Creates a new Place instance using the specified properties.
         * @function create
         * @memberof every.Place
         * @static
         * @param {every.Place.$Properties=} [properties] Properties to set
         * @returns {every.Place} Place instance
         * @type {{
         *   (properties: every.Place.$Shape): every.Place & every.Place.$Shape;
         *   (properties?: every.Place.$Properties): every.Place;
         * }}
         */
        Place.create = function(properties) {
            return new Place(properties);
        };

        /**
         * Encodes the specified Place message. Does not implicitly {@link every.Place.verify|verify} messages.
         * @function encode
         * @memberof every.Place
         * @static
         * @param {every.Place.$Properties} message Place message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Place.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.name != null && $Object.hasOwnProperty.call(message, "name") && message.name !== "")
                writer.uint32(/* id 1, wireType 2 =*/10).string(message.name);
            if (message.latitude != null && $Object.hasOwnProperty.call(message, "latitude") && !$Object.is(message.latitude, 0))
                writer.uint32(/* id 2, wireType 1 =*/17).double(message.latitude);
            if (message.longitude != null && $Object.hasOwnProperty.call(message, "longitude") && !$Object.is(message.longitude, 0))
                writer.uint32(/* id 3, wireType 1 =*/25).double(message.longitude);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        /**
         * Encodes the specified Place message, length delimited. Does not implicitly {@link every.Place.verify|verify} messages.
         * @function encodeDelimited
         * @memberof every.Place
         * @static
         * @param {every.Place.$Properties} message Place message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Place.encodeDelimited = function(message, writer) {
            return this.encode(message, (writer || $Writer.create()).fork()).ldelim();
        };

        /**
         * Decodes a Place message from the specified reader or buffer.
         * @function decode
         * @memberof every.Place
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @param {number} [length] Message length if known beforehand
         * @returns {every.Place & every.Place.$Shape} Place
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Place.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.every.Place();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.name = value;
                        else
                            delete message.name;
                        continue;
                    }
                case 2: {
                        if (wireType !== 1)
                            break;
                        if (!$Object.is(value = reader.double(), 0))
                            message.latitude = value;
                        else
                            delete message.latitude;
                        continue;
                    }
                case 3: {
                        if (wireType !== 1)
                            break;
                        if (!$Object.is(value = reader.double(), 0))
                            message.longitude = value;
                        else
                            delete message.longitude;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        /**
         * Decodes a Place message from the specified reader or buffer, length delimited.
         * @function decodeDelimited
         * @memberof every.Place
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @returns {every.Place & every.Place.$Shape} Place
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Place.decodeDelimited = function(reader) {
            if (!(reader instanceof $Reader))
                reader = new $Reader(reader);
            return this.decode(reader, reader.size());
        };

        /**
         * Verifies a Place message.
         * @function verify
         * @memberof every.Place
         * @static
         * @param {Object.<string,*>} message Plain object to verify
         * @returns {string|null} `null` if valid, otherwise the reason why it is not
         */
        Place.verify = function (message, _depth) {
            if (typeof message !== "object" || message === null)
                return "object expected";
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                return "max depth exceeded";
            if (message.name != null && $Object.hasOwnProperty.call(message, "name"))
                if (!$util.isString(message.name))
                    return "name: string expected";
            if (message.latitude != null && $Object.hasOwnProperty.call(message, "latitude"))
                if (typeof message.latitude !== "number")
                    return "latitude: number expected";
            if (message.longitude != null && $Object.hasOwnProperty.call(message, "longitude"))
                if (typeof message.longitude !== "number")
                    return "longitude: number expected";
            return null;
        };

        /**
         * Creates a Place message from a plain object. Also converts values to their respective internal types.
         * @function fromObject
         * @memberof every.Place
         * @static
         * @param {Object.<string,*>} object Plain object
         * @returns {every.Place} Place
         */
        Place.fromObject = function (object, _depth) {
            if (object instanceof $root.every.Place)
                return object;
            if (!$util.isObject(object))
                throw $TypeError(".every.Place: object expected");
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let message = new $root.every.Place();
            if (object.name != null)
                if (typeof object.name !== "string" || object.name.length)
                    message.name = $String(object.name);
            if (object.latitude != null)
                if (!$Object.is($Number(object.latitude), 0))
                    message.latitude = $Number(object.latitude);
            if (object.longitude != null)
                if (!$Object.is($Number(object.longitude), 0))
                    message.longitude = $Number(object.longitude);
            return message;
        };

        /**
         * Creates a plain object from a Place message. Also converts values to other types if specified.
         * @function toObject
         * @memberof every.Place
         * @static
         * @param {every.Place} message Place
         * @param {$protobuf.IConversionOptions} [options] Conversion options
         * @returns {Object.<string,*>} Plain object
         */
        Place.toObject = function (message, options, _depth) {
            if (!options)
                options = {};
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let object = {};
            if (options.defaults) {
                object.name = "";
                object.latitude = 0;
                object.longitude = 0;
            }
            if (message.name != null && $Object.hasOwnProperty.call(message, "name"))
                object.name = message.name;
            if (message.latitude != null && $Object.hasOwnProperty.call(message, "latitude"))
                object.latitude = options.json && !$isFinite(message.latitude) ? $String(message.latitude) : message.latitude;
            if (message.longitude != null && $Object.hasOwnProperty.call(message, "longitude"))
                object.longitude = options.json && !$isFinite(message.longitude) ? $String(message.longitude) : message.longitude;
            return object;
        };

        /**
         * Converts this Place to JSON.
         * @function toJSON
         * @memberof every.Place
         * @instance
         * @returns {Object.<string,*>} JSON object
         */
        Place.prototype.toJSON = function() {
            return Place.toObject(this, $protobuf.util.toJSONOptions);
        };

        /**
         * Gets the type url for Place
         * @function getTypeUrl
         * @memberof every.Place
         * @static
         * @param {string} [prefix] Custom type url prefix, defaults to `"type.googleapis.com"`
         * @returns {string} The type url
         */
        Place.getTypeUrl = function(prefix) {
            if (prefix === $undefined)
                prefix = "type.googleapis.com";
            return prefix + "/every.Place";
        };

        return Place;
    })();

    /**
     * State enum.
     * @name every.State
     * @enum {number}
     * @property {number} STATE_UNSPECIFIED=0 STATE_UNSPECIFIED value
     * @property {number} STATE_UP=1 STATE_UP value
     * @property {number} STATE_DOWN=2 STATE_DOWN value
     */
    every.State = (function() {
        const valuesById = $Object.create(null), values = $Object.create(valuesById);
        values[valuesById[0] = "STATE_UNSPECIFIED"] = 0;
        values[valuesById[1] = "STATE_UP"] = 1;
        values[valuesById[2] = "STATE_DOWN"] = 2;
        return values;
    })();

    return every;
})();

export {
  $root as default
};
