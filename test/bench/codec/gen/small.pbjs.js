/*eslint-disable block-scoped-var, id-length, no-control-regex, no-magic-numbers, no-mixed-operators, no-prototype-builtins, no-redeclare, no-shadow, no-var, sort-vars, default-case, jsdoc/require-param*/
import $protobuf from "protobufjs/minimal.js";

// Common aliases
const $Reader = $protobuf.Reader, $Writer = $protobuf.Writer, $util = $protobuf.util;
const $Object = $util.global.Object, $undefined = $util.global.undefined, $Error = $util.global.Error, $RangeError = $util.global.RangeError, $TypeError = $util.global.TypeError, $String = $util.global.String, $Number = $util.global.Number, $isFinite = $util.global.isFinite, $parseInt = $util.global.parseInt, $BigInt = $util.global.BigInt, $Array = $util.global.Array, $Boolean = $util.global.Boolean;

// Exported root namespace
const $root = $protobuf.roots["default"] || ($protobuf.roots["default"] = {});

export const small = $root.small = (() => {

    /**
     * Namespace small.
     * @exports small
     * @namespace
     */
    const small = {};

    small.Ping = (function() {

        /**
         * Properties of a Ping.
         * @typedef {Object} small.Ping.$Properties
         * @property {string|null} [id] Ping id
         * @property {number|null} [sequence] Ping sequence
         * @property {small.Origin.$Properties|null} [origin] Ping origin
         * @property {number|null} [load] Ping load
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */

        /**
         * Properties of a Ping.
         * @memberof small
         * @interface IPing
         * @augments small.Ping.$Properties
         * @deprecated Use small.Ping.$Properties instead.
         */

        /**
         * Shape of a Ping.
         * @typedef {small.Ping.$Properties} small.Ping.$Shape
         */

        /**
         * Constructs a new Ping.
         * @memberof small
         * @classdesc Represents a Ping.
         * @constructor
         * @param {small.Ping.$Properties=} [properties] Properties to set
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */
        const Ping = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        /**
         * Ping id.
         * @member {string} id
         * @memberof small.Ping
         * @instance
         */
        Ping.prototype.id = "";

        /**
         * Ping sequence.
         * @member {number} sequence
         * @memberof small.Ping
         * @instance
         */
        Ping.prototype.sequence = 0;

        /**
         * Ping origin.
         * @member {small.Origin.$Properties|null|undefined} origin
         * @memberof small.Ping
         * @instance
         */
        Ping.prototype.origin = null;

        /**
         * Ping load.
         * @member {number} load
         * @memberof small.Ping
         * @instance
         */
        Ping.prototype.load = 0;

        /**
         * Creates a new Ping instance using the specified properties.
         * @function create
         * @memberof small.Ping
         * @static
         * @param {small.Ping.$Properties=} [properties] Properties to set
         * @returns {small.Ping} Ping instance
         * @type {{
         *   (properties: small.Ping.$Shape): small.Ping & small.Ping.$Shape;
         *   (properties?: small.Ping.$Properties): small.Ping;
         * }}
         */
        Ping.create = function(properties) {
            return new Ping(properties);
        };

        /**
         * Encodes the specified Ping message. Does not implicitly {@link small.Ping.verify|verify} messages.
         * @function encode
         * @memberof small.Ping
         * @static
         * @param {small.Ping.$Properties} message Ping message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Ping.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.id != null && $Object.hasOwnProperty.call(message, "id") && message.id !== "")
                writer.uint32(/* id 1, wireType 2 =*/10).string(message.id);
            if (message.sequence != null && $Object.hasOwnProperty.call(message, "sequence") && message.sequence !== 0)
                writer.uint32(/* id 2, wireType 0 =*/16).uint32(message.sequence);
            if (message.origin != null && $Object.hasOwnProperty.call(message, "origin"))
                $root.small.Origin.encode(message.origin, writer.uint32(/* id 3, wireType 2 =*/26).fork(), _depth + 1).ldelim();
            if (message.load != null && $Object.hasOwnProperty.call(message, "load") && !$Object.is(message.load, 0))
                writer.uint32(/* id 4, wireType 5 =*/37).float(message.load);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        /**
         * Encodes the specified Ping message, length delimited. Does not implicitly {@link small.Ping.verify|verify} messages.
         * @function encodeDelimited
         * @memberof small.Ping
         * @static
         * @param {small.Ping.$Properties} message Ping message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Ping.encodeDelimited = function(message, writer) {
            return this.encode(message, (writer || $Writer.create()).fork()).ldelim();
        };

        /**
         * Decodes a Ping message from the specified reader or buffer.
         * @function decode
         * @memberof small.Ping
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @param {number} [length] Message length if known beforehand
         * @returns {small.Ping & small.Ping.$Shape} Ping
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Ping.decode = function (reader, length, _end, _depth, _target) {
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
            message = _target || new $root.small.Ping();
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
                            message.id = value;
                        else
                            delete message.id;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.sequence = value;
                        else
                            delete message.sequence;
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        message.origin = $root.small.Origin.decode(reader, reader.size(), $undefined, _depth + 1, message.origin);
                        continue;
                    }
                case 4: {
                        if (wireType !== 5)
                            break;
                        if (!$Object.is(value = reader.float(), 0))
                            message.load = value;
                        else
                            delete message.load;
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
         * Decodes a Ping message from the specified reader or buffer, length delimited.
         * @function decodeDelimited
         * @memberof small.Ping
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @returns {small.Ping & small.Ping.$Shape} Ping
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Ping.decodeDelimited = function(reader) {
            if (!(reader instanceof $Reader))
                reader = new $Reader(reader);
            return this.decode(reader, reader.size());
        };

        /**
         * Verifies a Ping message.
         * @function verify
         * @memberof small.Ping
         * @static
         * @param {Object.<string,*>} message Plain object to verify
         * @returns {string|null} `null` if valid, otherwise the reason why it is not
         */
        Ping.verify = function (message, _depth) {
            if (typeof message !== "object" || message === null)
                return "object expected";
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                return "max depth exceeded";
            if (message.id != null && $Object.hasOwnProperty.call(message, "id"))
                if (!$util.isString(message.id))
                    return "id: string expected";
            if (message.sequence != null && $Object.hasOwnProperty.call(message, "sequence"))
                if (!$util.isInteger(message.sequence))
                    return "sequence: integer expected";
            if (message.origin != null && $Object.hasOwnProperty.call(message, "origin")) {
                let error = $root.small.Origin.verify(message.origin, _depth + 1);
                if (error)
                    return "origin." + error;
            }
            if (message.load != null && $Object.hasOwnProperty.call(message, "load"))
                if (typeof message.load !== "number")
                    return "load: number expected";
            return null;
        };

        /**
         * Creates a Ping message from a plain object. Also converts values to their respective internal types.
         * @function fromObject
         * @memberof small.Ping
         * @static
         * @param {Object.<string,*>} object Plain object
         * @returns {small.Ping} Ping
         */
        Ping.fromObject = function (object, _depth) {
            if (object instanceof $root.small.Ping)
                return object;
            if (!$util.isObject(object))
                throw $TypeError(".small.Ping: object expected");
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let message = new $root.small.Ping();
            if (object.id != null)
                if (typeof object.id !== "string" || object.id.length)
                    message.id = $String(object.id);
            if (object.sequence != null)
                if ($Number(object.sequence) !== 0)
                    message.sequence = object.sequence >>> 0;
            if (object.origin != null) {
                if (!$util.isObject(object.origin))
                    throw $TypeError(".small.Ping.origin: object expected");
                message.origin = $root.small.Origin.fromObject(object.origin, _depth + 1);
            }
            if (object.load != null)
                if (!$Object.is($Number(object.load), 0))
                    message.load = $Number(object.load);
            return message;
        };

        /**
         * Creates a plain object from a Ping message. Also converts values to other types if specified.
         * @function toObject
         * @memberof small.Ping
         * @static
         * @param {small.Ping} message Ping
         * @param {$protobuf.IConversionOptions} [options] Conversion options
         * @returns {Object.<string,*>} Plain object
         */
        Ping.toObject = function (message, options, _depth) {
            if (!options)
                options = {};
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let object = {};
            if (options.defaults) {
                object.id = "";
                object.sequence = 0;
                object.origin = null;
                object.load = 0;
            }
            if (message.id != null && $Object.hasOwnProperty.call(message, "id"))
                object.id = message.id;
            if (message.sequence != null && $Object.hasOwnProperty.call(message, "sequence"))
                object.sequence = message.sequence;
            if (message.origin != null && $Object.hasOwnProperty.call(message, "origin"))
                object.origin = $root.small.Origin.toObject(message.origin, options, _depth + 1);
            if (message.load != null && $Object.hasOwnProperty.call(message, "load"))
                object.load = options.json && !$isFinite(message.load) ? $String(message.load) : message.load;
            return object;
        };

        /**
         * Converts this Ping to JSON.
         * @function toJSON
         * @memberof small.Ping
         * @instance
         * @returns {Object.<string,*>} JSON object
         */
        Ping.prototype.toJSON = function() {
            return Ping.toObject(this, $protobuf.util.toJSONOptions);
        };

        /**
         * Gets the type url for Ping
         * @function getTypeUrl
         * @memberof small.Ping
         * @static
         * @param {string} [prefix] Custom type url prefix, defaults to `"type.googleapis.com"`
         * @returns {string} The type url
         */
        Ping.getTypeUrl = function(prefix) {
            if (prefix === $undefined)
                prefix = "type.googleapis.com";
            return prefix + "/small.Ping";
        };

        return Ping;
    })();

    small.Origin = (function() {

        /**
         * Properties of an Origin.
         * @typedef {Object} small.Origin.$Properties
         * @property {number|null} [zone] Origin zone
         * @property {small.Stamp.$Properties|null} [stamp] Origin stamp
         * @property {small.Flags.$Properties|null} [flags] Origin flags
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */

        /**
         * Properties of an Origin.
         * @memberof small
         * @interface IOrigin
         * @augments small.Origin.$Properties
         * @deprecated Use small.Origin.$Properties instead.
         */

        /**
         * Shape of an Origin.
         * @typedef {small.Origin.$Properties} small.Origin.$Shape
         */

        /**
         * Constructs a new Origin.
         * @memberof small
         * @classdesc Represents an Origin.
         * @constructor
         * @param {small.Origin.$Properties=} [properties] Properties to set
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */
        const Origin = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        /**
         * Origin zone.
         * @member {number} zone
         * @memberof small.Origin
         * @instance
         */
        Origin.prototype.zone = 0;

        /**
         * Origin stamp.
         * @member {small.Stamp.$Properties|null|undefined} stamp
         * @memberof small.Origin
         * @instance
         */
        Origin.prototype.stamp = null;

        /**
         * Origin flags.
         * @member {small.Flags.$Properties|null|undefined} flags
         * @memberof small.Origin
         * @instance
         */
        Origin.prototype.flags = null;

        /**
         * Creates a new Origin instance using the specified properties.
         * @function create
         * @memberof small.Origin
         * @static
         * @param {small.Origin.$Properties=} [properties] Properties to set
         * @returns {small.Origin} Origin instance
         * @type {{
         *   (properties: small.Origin.$Shape): small.Origin & small.Origin.$Shape;
         *   (properties?: small.Origin.$Properties): small.Origin;
         * }}
         */
        Origin.create = function(properties) {
            return new Origin(properties);
        };

        /**
         * Encodes the specified Origin message. Does not implicitly {@link small.Origin.verify|verify} messages.
         * @function encode
         * @memberof small.Origin
         * @static
         * @param {small.Origin.$Properties} message Origin message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Origin.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.zone != null && $Object.hasOwnProperty.call(message, "zone") && message.zone !== 0)
                writer.uint32(/* id 1, wireType 0 =*/8).int32(message.zone);
            if (message.stamp != null && $Object.hasOwnProperty.call(message, "stamp"))
                $root.small.Stamp.encode(message.stamp, writer.uint32(/* id 2, wireType 2 =*/18).fork(), _depth + 1).ldelim();
            if (message.flags != null && $Object.hasOwnProperty.call(message, "flags"))
                $root.small.Flags.encode(message.flags, writer.uint32(/* id 3, wireType 2 =*/26).fork(), _depth + 1).ldelim();
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        /**
         * Encodes the specified Origin message, length delimited. Does not implicitly {@link small.Origin.verify|verify} messages.
         * @function encodeDelimited
         * @memberof small.Origin
         * @static
         * @param {small.Origin.$Properties} message Origin message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Origin.encodeDelimited = function(message, writer) {
            return this.encode(message, (writer || $Writer.create()).fork()).ldelim();
        };

        /**
         * Decodes an Origin message from the specified reader or buffer.
         * @function decode
         * @memberof small.Origin
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @param {number} [length] Message length if known beforehand
         * @returns {small.Origin & small.Origin.$Shape} Origin
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Origin.decode = function (reader, length, _end, _depth, _target) {
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
            message = _target || new $root.small.Origin();
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
                            message.zone = value;
                        else
                            delete message.zone;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        message.stamp = $root.small.Stamp.decode(reader, reader.size(), $undefined, _depth + 1, message.stamp);
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        message.flags = $root.small.Flags.decode(reader, reader.size(), $undefined, _depth + 1, message.flags);
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
         * Decodes an Origin message from the specified reader or buffer, length delimited.
         * @function decodeDelimited
         * @memberof small.Origin
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @returns {small.Origin & small.Origin.$Shape} Origin
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Origin.decodeDelimited = function(reader) {
            if (!(reader instanceof $Reader))
                reader = new $Reader(reader);
            return this.decode(reader, reader.size());
        };

        /**
         * Verifies an Origin message.
         * @function verify
         * @memberof small.Origin
         * @static
         * @param {Object.<string,*>} message Plain object to verify
         * @returns {string|null} `null` if valid, otherwise the reason why it is not
         */
        Origin.verify = function (message, _depth) {
            if (typeof message !== "object" || message === null)
                return "object expected";
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                return "max depth exceeded";
            if (message.zone != null && $Object.hasOwnProperty.call(message, "zone"))
                if (!$util.isInteger(message.zone))
                    return "zone: integer expected";
            if (message.stamp != null && $Object.hasOwnProperty.call(message, "stamp")) {
                let error = $root.small.Stamp.verify(message.stamp, _depth + 1);
                if (error)
                    return "stamp." + error;
            }
            if (message.flags != null && $Object.hasOwnProperty.call(message, "flags")) {
                let error = $root.small.Flags.verify(message.flags, _depth + 1);
                if (error)
                    return "flags." + error;
            }
            return null;
        };

        /**
         * Creates an Origin message from a plain object. Also converts values to their respective internal types.
         * @function fromObject
         * @memberof small.Origin
         * @static
         * @param {Object.<string,*>} object Plain object
         * @returns {small.Origin} Origin
         */
        Origin.fromObject = function (object, _depth) {
            if (object instanceof $root.small.Origin)
                return object;
            if (!$util.isObject(object))
                throw $TypeError(".small.Origin: object expected");
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let message = new $root.small.Origin();
            if (object.zone != null)
                if ($Number(object.zone) !== 0)
                    message.zone = object.zone | 0;
            if (object.stamp != null) {
                if (!$util.isObject(object.stamp))
                    throw $TypeError(".small.Origin.stamp: object expected");
                message.stamp = $root.small.Stamp.fromObject(object.stamp, _depth + 1);
            }
            if (object.flags != null) {
                if (!$util.isObject(object.flags))
                    throw $TypeError(".small.Origin.flags: object expected");
                message.flags = $root.small.Flags.fromObject(object.flags, _depth + 1);
            }
            return message;
        };

        /**
         * Creates a plain object from an Origin message. Also converts values to other types if specified.
         * @function toObject
         * @memberof small.Origin
         * @static
         * @param {small.Origin} message Origin
         * @param {$protobuf.IConversionOptions} [options] Conversion options
         * @returns {Object.<string,*>} Plain object
         */
        Origin.toObject = function (message, options, _depth) {
            if (!options)
                options = {};
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let object = {};
            if (options.defaults) {
                object.zone = 0;
                object.stamp = null;
                object.flags = null;
            }
            if (message.zone != null && $Object.hasOwnProperty.call(message, "zone"))
                object.zone = message.zone;
            if (message.stamp != null && $Object.hasOwnProperty.call(message, "stamp"))
                object.stamp = $root.small.Stamp.toObject(message.stamp, options, _depth + 1);
            if (message.flags != null && $Object.hasOwnProperty.call(message, "flags"))
                object.flags = $root.small.Flags.toObject(message.flags, options, _depth + 1);
            return object;
        };

        /**
         * Converts this Origin to JSON.
         * @function toJSON
         * @memberof small.Origin
         * @instance
         * @returns {Object.<string,*>} JSON object
         */
        Origin.prototype.toJSON = function() {
            return Origin.toObject(this, $protobuf.util.toJSONOptions);
        };

        /**
         * Gets the type url for Origin
         * @function getTypeUrl
         * @memberof small.Origin
         * @static
         * @param {string} [prefix] Custom type url prefix, defaults to `"type.googleapis.com"`
         * @returns {string} The type url
         */
        Origin.getTypeUrl = function(prefix) {
            if (prefix === $undefined)
                prefix = "type.googleapis.com";
            return prefix + "/small.Origin";
        };

        return Origin;
    })();

    small.Stamp = (function() {

        /**
         * Properties of a Stamp.
         * @typedef {Object} small.Stamp.$Properties
         * @property {number|Long|null} [at] Stamp at
         * @property {small.Kind|null} [kind] Stamp kind
         * @property {number|null} [offset] Stamp offset
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */

        /**
         * Properties of a Stamp.
         * @memberof small
         * @interface IStamp
         * @augments small.Stamp.$Properties
         * @deprecated Use small.Stamp.$Properties instead.
         */

        /**
         * Shape of a Stamp.
         * @typedef {small.Stamp.$Properties} small.Stamp.$Shape
         */

        /**
         * Constructs a new Stamp.
         * @memberof small
         * @classdesc Represents a Stamp.
         * @constructor
         * @param {small.Stamp.$Properties=} [properties] Properties to set
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */
        const Stamp = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        /**
         * Stamp at.
         * @member {number|Long} at
         * @memberof small.Stamp
         * @instance
         */
        Stamp.prototype.at = $util.Long ? $util.Long.fromBits(0,0,false) : 0;

        /**
         * Stamp kind.
         * @member {small.Kind} kind
         * @memberof small.Stamp
         * @instance
         */
        Stamp.prototype.kind = 0;

        /**
         * Stamp offset.
         * @member {number} offset
         * @memberof small.Stamp
         * @instance
         */
        Stamp.prototype.offset = 0;

        /**
         * Creates a new Stamp instance using the specified properties.
         * @function create
         * @memberof small.Stamp
         * @static
         * @param {small.Stamp.$Properties=} [properties] Properties to set
         * @returns {small.Stamp} Stamp instance
         * @type {{
         *   (properties: small.Stamp.$Shape): small.Stamp & small.Stamp.$Shape;
         *   (properties?: small.Stamp.$Properties): small.Stamp;
         * }}
         */
        Stamp.create = function(properties) {
            return new Stamp(properties);
        };

        /**
         * Encodes the specified Stamp message. Does not implicitly {@link small.Stamp.verify|verify} messages.
         * @function encode
         * @memberof small.Stamp
         * @static
         * @param {small.Stamp.$Properties} message Stamp message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Stamp.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.at != null && $Object.hasOwnProperty.call(message, "at") && (typeof message.at === "object" ? message.at.low || message.at.high : message.at !== 0))
                writer.uint32(/* id 1, wireType 0 =*/8).int64(message.at);
            if (message.kind != null && $Object.hasOwnProperty.call(message, "kind") && message.kind !== 0)
                writer.uint32(/* id 2, wireType 0 =*/16).int32(message.kind);
            if (message.offset != null && $Object.hasOwnProperty.call(message, "offset") && message.offset !== 0)
                writer.uint32(/* id 3, wireType 0 =*/24).sint32(message.offset);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        /**
         * Encodes the specified Stamp message, length delimited. Does not implicitly {@link small.Stamp.verify|verify} messages.
         * @function encodeDelimited
         * @memberof small.Stamp
         * @static
         * @param {small.Stamp.$Properties} message Stamp message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Stamp.encodeDelimited = function(message, writer) {
            return this.encode(message, (writer || $Writer.create()).fork()).ldelim();
        };

        /**
         * Decodes a Stamp message from the specified reader or buffer.
         * @function decode
         * @memberof small.Stamp
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @param {number} [length] Message length if known beforehand
         * @returns {small.Stamp & small.Stamp.$Shape} Stamp
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Stamp.decode = function (reader, length, _end, _depth, _target) {
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
            message = _target || new $root.small.Stamp();
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
                        if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                            message.at = value;
                        else
                            delete message.at;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.int32())
                            message.kind = value;
                        else
                            delete message.kind;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.sint32())
                            message.offset = value;
                        else
                            delete message.offset;
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
         * Decodes a Stamp message from the specified reader or buffer, length delimited.
         * @function decodeDelimited
         * @memberof small.Stamp
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @returns {small.Stamp & small.Stamp.$Shape} Stamp
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Stamp.decodeDelimited = function(reader) {
            if (!(reader instanceof $Reader))
                reader = new $Reader(reader);
            return this.decode(reader, reader.size());
        };

        /**
         * Verifies a Stamp message.
         * @function verify
         * @memberof small.Stamp
         * @static
         * @param {Object.<string,*>} message Plain object to verify
         * @returns {string|null} `null` if valid, otherwise the reason why it is not
         */
        Stamp.verify = function (message, _depth) {
            if (typeof message !== "object" || message === null)
                return "object expected";
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                return "max depth exceeded";
            if (message.at != null && $Object.hasOwnProperty.call(message, "at"))
                if (!$util.isInteger(message.at) && !(message.at && $util.isInteger(message.at.low) && $util.isInteger(message.at.high)))
                    return "at: integer|Long expected";
            if (message.kind != null && $Object.hasOwnProperty.call(message, "kind"))
                if (typeof message.kind !== "number" || (message.kind | 0) !== message.kind)
                    return "kind: enum value expected";
            if (message.offset != null && $Object.hasOwnProperty.call(message, "offset"))
                if (!$util.isInteger(message.offset))
                    return "offset: integer expected";
            return null;
        };

        /**
         * Creates a Stamp message from a plain object. Also converts values to their respective internal types.
         * @function fromObject
         * @memberof small.Stamp
         * @static
         * @param {Object.<string,*>} object Plain object
         * @returns {small.Stamp} Stamp
         */
        Stamp.fromObject = function (object, _depth) {
            if (object instanceof $root.small.Stamp)
                return object;
            if (!$util.isObject(object))
                throw $TypeError(".small.Stamp: object expected");
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let message = new $root.small.Stamp();
            if (object.at != null)
                if (typeof object.at === "object" ? object.at.low || object.at.high : $Number(object.at) !== 0)
                    if ($util.Long)
                        message.at = $util.Long.fromValue(object.at, false);
                    else if (typeof object.at === "string")
                        message.at = $parseInt(object.at, 10);
                    else if (typeof object.at === "number")
                        message.at = object.at;
                    else if (typeof object.at === "object")
                        message.at = new $util.LongBits(object.at.low >>> 0, object.at.high >>> 0).toNumber();
            if (object.kind !== 0 && (typeof object.kind !== "string" || $root.small.Kind[object.kind] !== 0))
                switch (object.kind) {
                case "KIND_UNSPECIFIED":
                case 0:
                    message.kind = 0;
                    break;
                case "KIND_FIRST":
                case 1:
                    message.kind = 1;
                    break;
                case "KIND_SECOND":
                case 2:
                    message.kind = 2;
                    break;
                case "KIND_THIRD":
                case 3:
                    message.kind = 3;
                    break;
                default:
                    if (typeof object.kind === "number" && (object.kind | 0) === object.kind)
                        message.kind = object.kind;
                }
            if (object.offset != null)
                if ($Number(object.offset) !== 0)
                    message.offset = object.offset | 0;
            return message;
        };

        /**
         * Creates a plain object from a Stamp message. Also converts values to other types if specified.
         * @function toObject
         * @memberof small.Stamp
         * @static
         * @param {small.Stamp} message Stamp
         * @param {$protobuf.IConversionOptions} [options] Conversion options
         * @returns {Object.<string,*>} Plain object
         */
        Stamp.toObject = function (message, options, _depth) {
            if (!options)
                options = {};
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let object = {};
            if (options.defaults) {
                if ($util.Long) {
                    let long = new $util.Long(0, 0, false);
                    object.at = options.longs === $String ? long.toString() : options.longs === $Number ? long.toNumber() : typeof $BigInt !== "undefined" && options.longs === $BigInt ? long.toBigInt() : long;
                } else
                    object.at = options.longs === $String ? "0" : typeof $BigInt !== "undefined" && options.longs === $BigInt ? $BigInt("0") : 0;
                object.kind = options.enums === $String ? "KIND_UNSPECIFIED" : 0;
                object.offset = 0;
            }
            if (message.at != null && $Object.hasOwnProperty.call(message, "at"))
                if (typeof $BigInt !== "undefined" && options.longs === $BigInt)
                    object.at = typeof message.at === "number" ? $BigInt(message.at) : $util.Long.fromBits(message.at.low >>> 0, message.at.high >>> 0, false).toBigInt();
                else if (typeof message.at === "number")
                    object.at = options.longs === $String ? $String(message.at) : message.at;
                else
                    object.at = options.longs === $String ? $util.Long.prototype.toString.call(message.at) : options.longs === $Number ? new $util.LongBits(message.at.low >>> 0, message.at.high >>> 0).toNumber() : message.at;
            if (message.kind != null && $Object.hasOwnProperty.call(message, "kind"))
                object.kind = options.enums === $String ? $root.small.Kind[message.kind] === $undefined ? message.kind : $root.small.Kind[message.kind] : message.kind;
            if (message.offset != null && $Object.hasOwnProperty.call(message, "offset"))
                object.offset = message.offset;
            return object;
        };

        /**
         * Converts this Stamp to JSON.
         * @function toJSON
         * @memberof small.Stamp
         * @instance
         * @returns {Object.<string,*>} JSON object
         */
        Stamp.prototype.toJSON = function() {
            return Stamp.toObject(this, $protobuf.util.toJSONOptions);
        };

        /**
         * Gets the type url for Stamp
         * @function getTypeUrl
         * @memberof small.Stamp
         * @static
         * @param {string} [prefix] Custom type url prefix, defaults to `"type.googleapis.com"`
         * @returns {string} The type url
         */
        Stamp.getTypeUrl = function(prefix) {
            if (prefix === $undefined)
                prefix = "type.googleapis.com";
            return prefix + "/small.Stamp";
        };

        return Stamp;
    })();

    small.Flags = (function() {

        /**
         * Properties of a Flags.
         * @typedef {Object} small.Flags.$Properties
         * @property {Array.<boolean>|null} [bits] Flags bits
         * @property {number|null} [weight] Flags weight
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */

        /**
         * Properties of a Flags.
         * @memberof small
         * @interface IFlags
         * @augments small.Flags.$Properties
         * @deprecated Use small.Flags.$Properties instead.
         */

        /**
         * Shape of a Flags.
         * @typedef {small.Flags.$Properties} small.Flags.$Shape
         */

        /**
         * Constructs a new Flags.
         * @memberof small
         * @classdesc Represents a Flags.
         * @constructor
         * @param {small.Flags.$Properties=} [properties] Properties to set
         * @property {Array.<Uint8Array>} [$unknowns] Unknown fields preserved while decoding when enabled
         */
        const Flags = function (properties) {
            this.bits = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        /**
         * Flags bits.
         * @member {Array.<boolean>} bits
         * @memberof small.Flags
         * @instance
         */
        Flags.prototype.bits = $util.emptyArray;

        /**
         * Flags weight.
         * @member {number} weight
         * @memberof small.Flags
         * @instance
         */
        Flags.prototype.weight = 0;

        /**
         * Creates a new Flags instance using the specified properties.
         * @function create
         * @memberof small.Flags
         * @static
         * @param {small.Flags.$Properties=} [properties] Properties to set
         * @returns {small.Flags} Flags instance
         * @type {{
         *   (properties: small.Flags.$Shape): small.Flags & small.Flags.$Shape;
         *   (properties?: small.Flags.$Properties): small.Flags;
         * }}
         */
        Flags.create = function(properties) {
            return new Flags(properties);
        };

        /**
         * Encodes the specified Flags message. Does not implicitly {@link small.Flags.verify|verify} messages.
         * @function encode
         * @memberof small.Flags
         * @static
         * @param {small.Flags.$Properties} message Flags message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Flags.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.bits != null && message.bits.length)
                writer.uint32(/* id 1, wireType 2 =*/10).bools(message.bits);
            if (message.weight != null && $Object.hasOwnProperty.call(message, "weight") && !$Object.is(message.weight, 0))
                writer.uint32(/* id 2, wireType 1 =*/17).double(message.weight);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        /**
         * Encodes the specified Flags message, length delimited. Does not implicitly {@link small.Flags.verify|verify} messages.
         * @function encodeDelimited
         * @memberof small.Flags
         * @static
         * @param {small.Flags.$Properties} message Flags message or plain object to encode
         * @param {$protobuf.Writer} [writer] Writer to encode to
         * @returns {$protobuf.Writer} Writer
         */
        Flags.encodeDelimited = function(message, writer) {
            return this.encode(message, (writer || $Writer.create()).fork()).ldelim();
        };

        /**
         * Decodes a Flags message from the specified reader or buffer.
         * @function decode
         * @memberof small.Flags
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @param {number} [length] Message length if known beforehand
         * @returns {small.Flags & small.Flags.$Shape} Flags
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Flags.decode = function (reader, length, _end, _depth, _target) {
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
            message = _target || new $root.small.Flags();
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
                        if (wireType === 2) {
                            if (!(message.bits && message.bits.length))
                                message.bits = [];
                            reader.bools(message.bits);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.bits && message.bits.length))
                            message.bits = [];
                        message.bits.push(reader.bool());
                        continue;
                    }
                case 2: {
                        if (wireType !== 1)
                            break;
                        if (!$Object.is(value = reader.double(), 0))
                            message.weight = value;
                        else
                            delete message.weight;
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
         * Decodes a Flags message from the specified reader or buffer, length delimited.
         * @function decodeDelimited
         * @memberof small.Flags
         * @static
         * @param {$protobuf.Reader|Uint8Array} reader Reader or buffer to decode from
         * @returns {small.Flags & small.Flags.$Shape} Flags
         * @throws {Error} If the payload is not a reader or valid buffer
         * @throws {$protobuf.util.ProtocolError} If required fields are missing
         */
        Flags.decodeDelimited = function(reader) {
            if (!(reader instanceof $Reader))
                reader = new $Reader(reader);
            return this.decode(reader, reader.size());
        };

        /**
         * Verifies a Flags message.
         * @function verify
         * @memberof small.Flags
         * @static
         * @param {Object.<string,*>} message Plain object to verify
         * @returns {string|null} `null` if valid, otherwise the reason why it is not
         */
        Flags.verify = function (message, _depth) {
            if (typeof message !== "object" || message === null)
                return "object expected";
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                return "max depth exceeded";
            if (message.bits != null && $Object.hasOwnProperty.call(message, "bits")) {
                if (!$Array.isArray(message.bits))
                    return "bits: array expected";
                for (let i = 0; i < message.bits.length; ++i)
                    if (typeof message.bits[i] !== "boolean")
                        return "bits: boolean[] expected";
            }
            if (message.weight != null && $Object.hasOwnProperty.call(message, "weight"))
                if (typeof message.weight !== "number")
                    return "weight: number expected";
            return null;
        };

        /**
         * Creates a Flags message from a plain object. Also converts values to their respective internal types.
         * @function fromObject
         * @memberof small.Flags
         * @static
         * @param {Object.<string,*>} object Plain object
         * @returns {small.Flags} Flags
         */
        Flags.fromObject = function (object, _depth) {
            if (object instanceof $root.small.Flags)
                return object;
            if (!$util.isObject(object))
                throw $TypeError(".small.Flags: object expected");
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let message = new $root.small.Flags();
            if (object.bits) {
                if (!$Array.isArray(object.bits))
                    throw $TypeError(".small.Flags.bits: array expected");
                message.bits = $Array(object.bits.length);
                for (let i = 0; i < object.bits.length; ++i)
                    message.bits[i] = $Boolean(object.bits[i]);
            }
            if (object.weight != null)
                if (!$Object.is($Number(object.weight), 0))
                    message.weight = $Number(object.weight);
            return message;
        };

        /**
         * Creates a plain object from a Flags message. Also converts values to other types if specified.
         * @function toObject
         * @memberof small.Flags
         * @static
         * @param {small.Flags} message Flags
         * @param {$protobuf.IConversionOptions} [options] Conversion options
         * @returns {Object.<string,*>} Plain object
         */
        Flags.toObject = function (message, options, _depth) {
            if (!options)
                options = {};
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            let object = {};
            if (options.arrays || options.defaults)
                object.bits = [];
            if (options.defaults)
                object.weight = 0;
            if (message.bits && message.bits.length) {
                object.bits = $Array(message.bits.length);
                for (let j = 0; j < message.bits.length; ++j)
                    object.bits[j] = message.bits[j];
            }
            if (message.weight != null && $Object.hasOwnProperty.call(message, "weight"))
                object.weight = options.json && !$isFinite(message.weight) ? $String(message.weight) : message.weight;
            return object;
        };

        /**
         * Converts this Flags to JSON.
         * @function toJSON
         * @memberof small.Flags
         * @instance
         * @returns {Object.<string,*>} JSON object
         */
        Flags.prototype.toJSON = function() {
            return Flags.toObject(this, $protobuf.util.toJSONOptions);
        };

        /**
         * Gets the type url for Flags
         * @function getTypeUrl
         * @memberof small.Flags
         * @static
         * @param {string} [prefix] Custom type url prefix, defaults to `"type.googleapis.com"`
         * @returns {string} The type url
         */
        Flags.getTypeUrl = function(prefix) {
            if (prefix === $undefined)
                prefix = "type.googleapis.com";
            return prefix + "/small.Flags";
        };

        return Flags;
    })();

    /**
     * Kind enum.
     * @name small.Kind
     * @enum {number}
     * @property {number} KIND_UNSPECIFIED=0 KIND_UNSPECIFIED value
     * @property {number} KIND_FIRST=1 KIND_FIRST value
     * @property {number} KIND_SECOND=2 KIND_SECOND value
     * @property {number} KIND_THIRD=3 KIND_THIRD value
     */
    small.Kind = (function() {
        const valuesById = $Object.create(null), values = $Object.create(valuesById);
        values[valuesById[0] = "KIND_UNSPECIFIED"] = 0;
        values[valuesById[1] = "KIND_FIRST"] = 1;
        values[valuesById[2] = "KIND_SECOND"] = 2;
        values[valuesById[3] = "KIND_THIRD"] = 3;
        return values;
    })();

    return small;
})();

export {
  $root as default
};
